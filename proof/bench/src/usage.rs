//! What a process has used so far, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

use crate::Result;

/// The usage of a process at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of the living threads. A server's threads live as long as
    /// the server.
    pub(crate) cpu: Duration,
    /// Name and time of each thread, by its id.
    pub(crate) threads: HashMap<u32, (String, Duration)>,
    /// Its memory in bytes. Shared pages are counted in full.
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
        let memory = resident(&read("smaps_rollup")?).ok_or("no Rss in smaps_rollup")?;
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("{folder}/task")).map_err(|error| at("task", error))? {
            let thread = entry?.file_name();
            let Ok(thread) = thread.to_string_lossy().parse() else {
                continue;
            };
            // A thread may have ended since the folder was read.
            let of_thread = |file: &str| read(&format!("task/{thread}/{file}")).ok();
            if let (Some(name), Some(times)) = (of_thread("comm"), of_thread("schedstat")) {
                let time = time(&times).ok_or("an unknown form of schedstat")?;
                threads.insert(thread, (name.trim_end().to_owned(), time));
            }
        }
        Ok(Self {
            cpu: threads.values().map(|(_, time)| *time).sum(),
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

/// The first field of a schedstat file: nanoseconds on a processor. The times in a stat
/// file are in hundredths of a second, which is not precise enough for a short turn.
fn time(schedstat: &str) -> Option<Duration> {
    let (nanoseconds, _) = schedstat.split_once(' ')?;
    Some(Duration::from_nanos(nanoseconds.parse().ok()?))
}

/// `Rss` of a smaps_rollup file, in bytes.
fn resident(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_thread_is_the_first_field() {
        assert_eq!(time("1500 7 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(time(""), None);
        assert_eq!(time("1500"), None);
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
