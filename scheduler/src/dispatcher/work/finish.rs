//! After rsync, or after a run that needed none: hooks judge, and can make the end worse.

use engine::Verdict as Follows;

use super::{Work, ask};
use crate::hooks::{Decision, Verdict};
use crate::run::{AttemptEnd, Ending};

/// The end as hooks leave it.
pub(super) async fn finish(work: &mut Work<'_>, ending: Ending) -> Ending {
    // A run that waits, or goes on with another upstream, is asked about again before it goes on, and has not ended.
    if matches!(ending, Ending::Delayed { .. } | Ending::Returns { .. }) {
        return ending;
    }
    match ask::after(work, &ending).await {
        Some(verdict) => judged(ending, verdict),
        None => ending,
    }
}

fn judged(ending: Ending, verdict: Verdict) -> Ending {
    match ending {
        Ending::Ran { end, .. } if end.verdict != Follows::Cancelled => worse(end, verdict),
        Ending::Unchanged { reason } if verdict != Verdict::Accept => {
            worse(Box::new(AttemptEnd::without_rsync("unchanged", Follows::Done, reason)), verdict)
        }
        other => other,
    }
}

fn worse(mut end: Box<AttemptEnd>, verdict: Verdict) -> Ending {
    let good = matches!(end.verdict, Follows::Done | Follows::Partial);
    let mut again_after = None;
    let (class, follows, reason) = match verdict {
        Verdict::Degrade(why) if good => ("degraded", Follows::Partial, why),
        Verdict::Reject(why) if good => ("rejected", Follows::GiveUp, why),
        Verdict::RetryAfter(wait, why) => {
            let (shortest, longest) = Decision::DELAY;
            again_after = Some(wait.clamp(shortest, longest));
            ("again", Follows::RetrySoon, why)
        }
        Verdict::Accept | Verdict::Degrade(_) | Verdict::Reject(_) => {
            return Ending::Ran { end, again_after: None };
        }
    };
    end.class = class.to_owned();
    end.verdict = follows;
    end.reason = format!("a hook says: {reason}");
    Ending::Ran { end, again_after }
}
