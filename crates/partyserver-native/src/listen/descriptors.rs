//! How many files the process may have open, sockets among them.

/// Raises the limit as far as the process may, and returns it; `None` where
/// there is none.
#[cfg(unix)]
pub(crate) fn raise() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let present = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: present.maximum,
        ..present
    };
    // Where that is not allowed, the present limit is what there is.
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => present.current,
    };
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
pub(crate) fn raise() -> Option<usize> {
    None
}

/// How many of these many are for clients. The rest is for the store, the rooms'
/// databases, and what the application opens.
pub(crate) fn for_clients(limit: usize) -> usize {
    limit.saturating_sub(RESERVED).max(limit / 2)
}

/// 128 databases of rooms take 384.
const RESERVED: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        use rustix::process::{Resource, getrlimit};
        let limit = raise();
        let present = getrlimit(Resource::Nofile);
        assert_eq!(present.current, present.maximum);
        assert_eq!(limit.map(|limit| limit as u64), present.current);
    }

    #[test]
    fn a_part_is_kept_back() {
        for (limit, clients) in [(1_048_576, 1_048_064), (1024, 512), (600, 300), (0, 0)] {
            assert_eq!(for_clients(limit), clients);
        }
    }
}
