/* SPDX-License-Identifier: MIT */
/* Everything an embedder calls. */
#ifndef FAULTLINE_FAULTLINE_H
#define FAULTLINE_FAULTLINE_H

#include "faultline/arch.h"
#include "faultline/fault.h"
#include "faultline/frame.h"
#include "faultline/machine.h"
#include "faultline/mm.h"
#include "faultline/task.h"
#include "faultline/uaccess.h"
#include "faultline/uapi.h"
#include "faultline/uffd.h"

#endif
