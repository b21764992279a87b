/* progress: draws the bar. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "os/os.h"

#define DRAW_EVERY_US 100000
#define BAR_WIDTH 30

void progress_begin(struct progress *progress, int64_t total, bool is_wanted)
{
    int64_t now_us = clock_mono_us(os_real()->clock);
    *progress = (struct progress){
        .total = total,
        .begun_us = now_us,
        .drawn_us = now_us,
        .is_shown = is_wanted && total > 0 && isatty(STDERR_FILENO) == 1,
    };
}

static void draw(const struct progress *progress, int64_t done, int64_t count, int64_t now_us)
{
    double share = done >= progress->total ? 1.0 : (double)done / (double)progress->total;
    int filled = (int)(share * BAR_WIDTH);
    double seconds = (double)(now_us - progress->begun_us) / 1e6;
    (void)fprintf(stderr, "\r[%.*s%*s] %3d %%  %" PRId64 " messages  %.0f/s ", filled,
                  "##############################", BAR_WIDTH - filled, "", (int)(share * 100),
                  count, seconds > 0 ? (double)count / seconds : 0.0);
    (void)fflush(stderr);
}

void progress_show(struct progress *progress, int64_t done, int64_t count)
{
    if (!progress->is_shown)
        return;
    int64_t now_us = clock_mono_us(os_real()->clock);
    if (now_us - progress->drawn_us < DRAW_EVERY_US)
        return;
    progress->drawn_us = now_us;
    draw(progress, done, count, now_us);
}

void progress_end(struct progress *progress, int64_t done, int64_t count)
{
    if (!progress->is_shown)
        return;
    draw(progress, done, count, clock_mono_us(os_real()->clock));
    (void)fputc('\n', stderr);
}
