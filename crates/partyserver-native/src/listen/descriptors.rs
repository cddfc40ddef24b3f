//! How many files the process may have open. Sockets count as files.

/// Raises the limit to the highest value that the process may set, and returns it.
/// `None` if there is no limit.
#[cfg(unix)]
pub(crate) fn raise() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let present = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: present.maximum,
        ..present
    };
    // If raising is not allowed, the present limit stays.
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

/// How many of this limit's files are for clients. The rest is for the store, the
/// rooms' databases, and files that the application opens.
pub(crate) fn for_clients(limit: usize) -> usize {
    limit.saturating_sub(RESERVED).max(limit / 2)
}

/// The databases of 128 rooms need 384.
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
