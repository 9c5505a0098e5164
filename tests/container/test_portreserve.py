# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of Red Hat's portreserve under systemd: their units get drop-ins, and what packages wrote for portrelease works beside them."""

from machine import wait_until

PORT = 48121


def test_a_package_that_knows_portreserve(host):
    """Its file and its unit as they come: nothing is declared by hand."""
    host.unit("mail.service", "[Service]\nType=notify\nExecStartPre=-/sbin/portrelease mail\n"
              f"ExecStart=/usr/bin/python3 -B /opt/inside/server.py {PORT}\n")
    host.unit("plain.service", f"[Service]\nType=notify\nExecStart=/usr/bin/python3 -B /opt/inside/server.py {PORT + 1}\n")
    host.write("/etc/portreserve/mail", f"# mail\n{PORT}/tcp\n")
    host.write("/etc/portreserve/plain", f"{PORT + 1}/tcp\n")
    host.made.append("/etc/portreserve")
    host.serve("[Daemon]\nPortreserveDirectory=/etc/portreserve\n")
    for unit, port in ("mail", PORT), ("plain", PORT + 1):
        assert "/50-portreserved.conf" in host.show(f"{unit}.service", "DropInPaths")
        assert host.ctl("show", unit)["source"].startswith(f"/etc/portreserve/{unit}:")
        for _ in range(3):
            host.wait_endpoint(unit, "exclusive")
            host.systemctl("start", f"{unit}.service")
            host.wait_endpoint(unit, "in-use")
            host.systemctl("stop", f"{unit}.service")
    host.wait_endpoint("mail", "exclusive")

    # What runs is what was applied: the file goes, and the drop-in stays until the next reload.
    host.run("rm", "/etc/portreserve/mail")
    host.systemctl("daemon-reload")
    assert "/50-portreserved.conf" in host.show("mail.service", "DropInPaths")
    host.systemctl("restart", "portreserved.service")
    host.wait_endpoint("mail", "exclusive")
    host.run("portreservectl", "reload")
    assert [r["name"] for r in host.ctl("list")] == ["plain"]
    assert "/50-portreserved.conf" not in host.show("mail.service", "DropInPaths")


def test_a_mistake_in_a_file(host):
    host.write("/etc/portreserve/good", f"{PORT}/tcp\n")
    host.write("/etc/portreserve/bad", "nosuchservice\n")
    host.made.append("/etc/portreserve")
    cursor = host.cursor()
    host.serve("[Daemon]\nPortreserveDirectory=/etc/portreserve\n")
    host.wait_endpoint("good", "exclusive")
    wait_until(lambda: any("/etc/portreserve/bad:1:" in m for m in host.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor)),
               "the mistake is said")
    host.write("/etc/portreserve/good", f"{PORT + 1}/tcp\n")
    r = host.run("portreservectl", "reload", check=False)
    assert r.returncode == 7 and "/etc/portreserve/bad:1:" in r.stderr
    assert host.endpoint("good")["port"] == PORT


def test_without_the_daemon_a_unit_starts(host):
    """Also one that does not ignore what portrelease says."""
    host.unit("mail.service", "[Service]\nType=notify\nExecStartPre=/sbin/portrelease mail\n"
              f"ExecStart=/usr/bin/python3 -B /opt/inside/server.py {PORT}\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "mail.service")
    assert host.active("mail.service") == "active"
