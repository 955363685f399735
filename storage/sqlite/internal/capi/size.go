package capi

import "modernc.org/libc/sys/types"

func libcSize(n int) types.Size_t { return types.Size_t(n) }
