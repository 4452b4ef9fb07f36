// SPDX-License-Identifier: BSD-2-Clause
/* Two thresholds, so that a table near one of them does not make an alarm come and go. */
#include "lib/level.h"

bool svr_level_high(bool high, uint64_t used, uint64_t size)
{
	/* Wide enough for every product. */
	const unsigned __int128 percents = (unsigned __int128)used * 100;

	if (!size)
		return false;
	return high ? percents >= (unsigned __int128)size * SVR_LEVEL_CLEAR_PERCENT :
		      percents > (unsigned __int128)size * SVR_LEVEL_RAISE_PERCENT;
}
