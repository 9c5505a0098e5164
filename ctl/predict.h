/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Would a server's bind() and listen() succeed now? By the kernel's rules (model/bind-rules.h), with
 * what they need to know found out where that is possible and disturbs nobody. */

#include "ctl/occupants.h"
#include "model/bind-rules.h"

typedef struct Prediction {
        WouldBind would_bind;
        bool certain;
        size_t worst;       /* who stands most in the way; SIZE_MAX: nobody is there */
        uint64_t free_usec; /* all that is in the way goes by itself within that time; 0: it does
                                not, or nothing is */
} Prediction;

typedef struct Question {
        int protocol;
        uint16_t port;
        const Endpoint *const *places; /* each of them */
        size_t n_places;
        bool releases; /* a hold of ours is closed as the server starts (ReuseAddress=no) */
        bool sees_all; /* every socket there is was listed */
} Question;

/* Fills in_way, and what was found out of reuse, in o. */
void predict(const Question *q, Occupants *o, Prediction *ret);

/* Rounded up; 0 as in free_usec. */
uint64_t prediction_free_sec(const Prediction *p);
