/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* MESSAGE_ID of each kind of event, for `journalctl MESSAGE_ID=…` and the catalog. Never changed,
 * never reused. */

#define MESSAGE_ID_COLLISION   "07cd9653acf9490bb944c68bbfe66ab0"
#define MESSAGE_ID_RESOLVED    "1f1e29d864264c2699dfc20854a4c8b9"
#define MESSAGE_ID_DRIFT       "78e97a2f6494404189835850c5fa6a56"
#define MESSAGE_ID_REPAIRED    "542b3aafd21147e3ad67c1f8ad8041e3"
#define MESSAGE_ID_HELD        "fd7b003ea09244cfb36c7b968796abbc"
#define MESSAGE_ID_PENDING     "e538ea38560641689af5511639628f6d"
#define MESSAGE_ID_CLAIMED     "9b635b369e2f4019b6f6d915ee14b22a"
#define MESSAGE_ID_HANDED_OVER "8df5c29b875a49adba68850b48e07a06"
#define MESSAGE_ID_EVICTED     "7deb4a6671764557945c6b2def16066d"
#define MESSAGE_ID_DENIED      "254a2def8bfa4a34828e6f5c90cf1123"
#define MESSAGE_ID_LEASE       "aa85517a5a8d4e19bddc2eee78ea7847"
