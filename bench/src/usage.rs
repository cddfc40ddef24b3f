//! What a process has used so far, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

use crate::Result;

/// The usage of a process at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of all its threads, those that have ended too.
    pub(crate) cpu: Duration,
    /// Name and time of each thread that lives, by its id.
    pub(crate) threads: HashMap<u32, (String, Duration)>,
    /// What it has in memory, in bytes; pages that it shares are counted in full.
    pub(crate) memory: u64,
}

impl Usage {
    /// # Errors
    /// When there is no such process, or it is another user's.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let folder = format!("/proc/{process}");
        let at = |file: &str, error: io::Error| format!("{folder}/{file}: {error}");
        let read = |file: &str| {
            fs::read_to_string(format!("{folder}/{file}")).map_err(|error| at(file, error))
        };
        let (_, cpu) = name_and_time(&read("stat")?).ok_or("an unknown form of stat")?;
        let memory = resident(&read("smaps_rollup")?).ok_or("no Rss in smaps_rollup")?;
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("{folder}/task")).map_err(|error| at("task", error))? {
            let thread = entry?.file_name();
            let Ok(thread) = thread.to_string_lossy().parse() else {
                continue;
            };
            // A thread may have ended since the folder was read.
            if let Some(times) = read(&format!("task/{thread}/stat"))
                .ok()
                .and_then(|text| name_and_time(&text))
            {
                threads.insert(thread, times);
            }
        }
        Ok(Self {
            cpu,
            threads,
            memory,
        })
    }

    /// The thread that worked most since `before`, and for how long.
    pub(crate) fn busiest_thread(&self, before: &Self) -> Option<(&str, Duration)> {
        let worked = self.threads.iter().map(|(id, (name, time))| {
            let earlier = before.threads.get(id).map_or(Duration::ZERO, |(_, t)| *t);
            (name.as_str(), time.saturating_sub(earlier))
        });
        worked.max_by_key(|(_, time)| *time)
    }
}

/// The name, and utime + stime: fields 2, 14 and 15 of a stat file (proc(5)).
fn name_and_time(stat: &str) -> Option<(String, Duration)> {
    // The name is in parentheses and may itself hold spaces and parentheses.
    let (start, rest) = stat.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some((
        name.to_owned(),
        Duration::from_millis(ticks * MILLISECONDS_PER_TICK),
    ))
}

/// `Rss` of a smaps_rollup file, in bytes.
fn resident(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Linux counts these in hundredths of a second on every architecture of today.
const MILLISECONDS_PER_TICK: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 900 900 20 0 1 0 99";
        let expected = Some(("a) b (c".to_owned(), Duration::from_millis(120)));
        assert_eq!(name_and_time(stat), expected);
    }

    #[test]
    fn a_short_stat_is_no_time() {
        assert_eq!(name_and_time("42 (a) S 1 42"), None);
        assert_eq!(name_and_time(""), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let smaps = "400000-ffff ---p 0 00:00 0 [rollup]\nRss:      12 kB\nPss:       3 kB\n";
        assert_eq!(resident(smaps), Some(12 * 1024));
        assert_eq!(resident("Pss: 3 kB\n"), None);
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory > 0);
        assert!(!usage.threads.is_empty());
    }

    #[test]
    fn the_busiest_thread_is_the_one_that_worked_since() {
        let usage = |first, second| Usage {
            threads: HashMap::from([
                (1, ("first".to_owned(), Duration::from_secs(first))),
                (2, ("second".to_owned(), Duration::from_secs(second))),
            ]),
            ..Usage::default()
        };
        let worked = usage(10, 3);
        let busiest = worked.busiest_thread(&usage(10, 1));
        assert_eq!(busiest, Some(("second", Duration::from_secs(2))));
    }
}
