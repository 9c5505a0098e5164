# SPDX-License-Identifier: LGPL-2.1-or-later
"""Restarts and crashes of portreserved, and of a server whose port PID 1 listens on, under a loop of clients: none is refused."""

import servers

RESTARTS = servers.storm(200)
KILLS = servers.storm(100)
CONNECTIONS = servers.storm(500000)
CONTROL = servers.storm(50)

CONFIG = """[nginx]
Ports=8080/tcp
Hold=bound

[web]
ListenStream=8443
Unit=lighttpd.service
"""
LOAD = ["/opt/inside/load", "--slots=8", f"--least={CONNECTIONS // 2}", "http"]
# Whatever else wants the processor comes first: on two of them, restarts would wait for the clients.
BEHIND = ("TimeoutStopSec=600", "Nice=19", "CPUWeight=1")
# As Debian has it, lighttpd drops whom it serves when it is stopped; so it serves them first.
GRACEFUL = "[Service]\nKillSignal=SIGINT\n"

# In one go, so that nobody's polling is in the way. Both at once: neither may need the other. More often than their start limits allow.
RESTART = """
for i in $(seq "$1"); do
	systemctl reset-failed portreserved.service lighttpd.service
	systemctl restart portreserved.service lighttpd.service || exit
	# It has begun when it answers: a server that is stopped before would serve nobody until the last restart.
	until curl --silent --max-time 60 --output /dev/null "$2"; do sleep 0.01; done
done
"""
KILL = """
main() { systemctl show --value --property=MainPID portreserved.service; }
for i in $(seq "$1"); do
	systemctl reset-failed portreserved.service
	before=$(main)
	systemctl kill --signal=KILL --kill-whom=main portreserved.service || exit
	while :; do
		now=$(main)
		test "$now" != 0 -a "$now" != "$before" && systemctl is-active --quiet portreserved.service && break
		sleep 0.02
	done
done
"""


def shell(m, script, count, units, *args):
    r = m.run("timeout", "600", "sh", "-c", script, "sh", count, *args, check=False, timeout=660)
    assert r.returncode == 0, f"{units}: {r.returncode}\n{r.stderr}{m.explain(*units)}"


def test_nobody_is_refused(host, figures):
    m = host
    nginx, lighttpd = (servers.server(m, name) for name in ("nginx", "lighttpd"))
    for s in (nginx, lighttpd):
        s.prepare(m)
    m.replace("/etc/lighttpd/lighttpd.conf", servers.LIGHTTPD + 'server.systemd-socket-activation = "enable"\n')
    m.unit("lighttpd.service.d/graceful.conf", GRACEFUL)
    m.serve(CONFIG)
    m.systemctl("start", "portreserved-web.socket", nginx.unit)
    units = ("portreserved.service", "portreserved-web.socket", lighttpd.unit, nginx.unit)
    m.background("load-nginx", *LOAD, "8080", "127.0.0.1", "::1", properties=BEHIND)
    m.background("load-web", *LOAD, "8443", "127.0.0.1", "::1", properties=BEHIND)

    shell(m, RESTART, RESTARTS, units, "http://127.0.0.1:8443/")
    shell(m, KILL, KILLS, units)

    web = servers.counts(m.finish("load-web"))
    bound = servers.counts(m.finish("load-nginx"))
    explained = m.explain(*units)
    m.systemctl("stop", "portreserved-web.socket", lighttpd.unit, nginx.unit)
    m.systemctl("stop", "portreserved.service")
    m.replace("/etc/lighttpd/lighttpd.conf", servers.LIGHTTPD)
    control = without_reservation(m, lighttpd)

    figures(servers.table(f"{RESTARTS} restarts of portreserved.service and lighttpd.service, {KILLS} SIGKILLs of portreserved.service",
                          [("nginx.service, Hold=bound", bound), ("lighttpd.service, Hold=listen", web),
                           (f"lighttpd.service, {CONTROL} restarts, none", control)]))
    assert web["refused"] == bound["refused"] == 0, f"{web} {bound}\n{explained}"
    assert web["timeouts"] == bound["timeouts"] == 0, f"{web} {bound}\n{explained}"
    # nginx runs all the time. lighttpd has answered whom it accepted before it ends, and who waits in the queue waits for its next run.
    assert bound["lost"] == 0, f"{bound}\n{explained}"
    assert web["lost"] == 0, f"{web}\n{explained}"
    assert min(web["ok"], bound["ok"]) >= CONNECTIONS // 2, f"{web} {bound}"
    assert control["refused"] > 100 * CONTROL, f"{control}: the loop finds no gap where there is one"


def without_reservation(m, s):
    """The same server, its own listener."""
    m.systemctl("reset-failed", s.unit)
    m.systemctl("start", s.unit)
    m.background("load", *s.load("--slots=8"), properties=BEHIND)
    shell(m, RESTART.replace("portreserved.service", ""), CONTROL, [s.unit], f"http://127.0.0.1:{s.port}/")
    found = servers.counts(m.finish("load"))
    m.systemctl("stop", s.unit)
    return found
