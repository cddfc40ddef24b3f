//! When a load ends: after a time or a number of operations, whichever comes first.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The time and the operations that the workers of a load still have, together.
pub(crate) struct Budget {
    end: Instant,
    operations: Cell<u64>,
}

impl Budget {
    /// Starts now.
    pub(crate) fn new(time: Duration, operations: Option<u64>) -> Self {
        Self {
            end: Instant::now() + time,
            operations: Cell::new(operations.unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn is_left(&self) -> bool {
        self.operations.get() > 0 && Instant::now() < self.end
    }

    pub(crate) fn took(&self, operations: u64) {
        self.operations
            .set(self.operations.get().saturating_sub(operations));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_end_it_before_the_time() {
        let budget = Budget::new(Duration::from_secs(60), Some(3));
        budget.took(2);
        assert!(budget.is_left());
        budget.took(2);
        assert!(!budget.is_left());
    }

    #[test]
    fn time_ends_it_before_the_operations() {
        assert!(!Budget::new(Duration::ZERO, Some(3)).is_left());
    }
}
