//! Lists a module without an rsync, and says what that took: the figure of `docs/performance.md` about native lists.
//!
//! ```sh
//! cargo run --release -p engine --example list -- rsync://localhost/debian
//! time rsync -r --list-only rsync://localhost/debian/ >/dev/null
//! ```

use std::time::Instant;

use engine::Source;
use engine::protocol::{Connection, ListLimits, Timeouts, What};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let source = std::env::args().nth(1).ok_or("usage: list rsync://HOST/MODULE[/PATH]")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(list(&source.parse()?))
}

async fn list(source: &Source) -> Result<(), Failed> {
    let (begin, timeouts) = (Instant::now(), Timeouts::default());
    let session = Connection::open(source, &timeouts).await?.enter(source, None).await?;
    let entered = begin.elapsed();
    let limits = ListLimits { entries: u64::MAX, bytes: u64::MAX };
    let mut files = session.list(What::Tree, &limits).await?;
    let mut first = None;
    while files.next().await?.is_some() {
        first.get_or_insert_with(|| begin.elapsed());
    }
    let (totals, all) = (files.totals(), begin.elapsed());
    let end = files.finish().await;
    println!("{} entries, {} bytes in files, {end:?}", totals.entries(), totals.bytes);
    println!("entered after {entered:?}, first entry after {first:?}, all after {all:?}");
    Ok(())
}
