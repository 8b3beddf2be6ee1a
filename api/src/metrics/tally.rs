//! What has come about since the store was made, as the scheduler counts it.

use scheduler::Scheduler;
use scheduler::tally::Count;

use super::text::Text;

/// Writes the counts.
pub(super) fn tally(text: &mut Text, scheduler: &Scheduler) {
    let tally = scheduler.tally();
    text.family("heliostat_runs_total");
    for (count, number) in &tally {
        if let Count::Runs { result, class } = count {
            text.sample(&[("result", result), ("class", class)], number);
        }
    }
    for (name, count) in [
        ("heliostat_run_retries_total", Count::Retries),
        ("heliostat_schedule_skipped_total", Count::Skipped),
        ("heliostat_guard_holds_total", Count::Holds),
        ("heliostat_received_bytes_total", Count::Received),
        ("heliostat_transferred_files_total", Count::Transferred),
        ("heliostat_deleted_files_total", Count::Deleted),
    ] {
        text.family(name).sample(&[], tally.get(&count).copied().unwrap_or(0));
    }
}
