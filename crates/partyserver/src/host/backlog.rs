//! Queues: events that one worker handles in order, and the limit of what may wait.

use std::collections::VecDeque;

/// Items that one worker handles in order.
#[derive(Debug)]
pub struct Backlog<T> {
    items: VecDeque<T>,
    is_attended: bool,
}

impl<T> Backlog<T> {
    /// Adds an item. Returns whether the caller must start a worker, which calls
    /// [`Backlog::take`] until nothing is left.
    #[must_use]
    pub fn push(&mut self, item: T) -> bool {
        self.items.push_back(item);
        !std::mem::replace(&mut self.is_attended, true)
    }

    /// The next item. `None` means that the worker that asked has ended.
    pub fn take(&mut self) -> Option<T> {
        let item = self.items.pop_front();
        self.is_attended = item.is_some();
        item
    }

    /// No worker could be started, so the next push asks for one again.
    pub fn unattended(&mut self) {
        self.is_attended = false;
    }
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            is_attended: false,
        }
    }
}

/// How much waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    messages: usize,
    bytes: usize,
}

/// How much may wait in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// How many messages. Many small messages cost more than their bytes.
    pub messages: usize,
    /// The bytes of all messages together.
    pub bytes: usize,
}

impl Waiting {
    /// The load with one more message, or `None` when it does not fit. A message always
    /// fits into an empty queue, because the limits are for what waits.
    #[must_use]
    pub fn with(self, bytes: usize, capacity: Capacity) -> Option<Self> {
        let next = Self {
            messages: self.messages + 1,
            bytes: self.bytes + bytes,
        };
        let fits = next.messages == 1 || next.bytes <= capacity.bytes;
        (fits && next.messages <= capacity.messages).then_some(next)
    }

    /// Takes one message of this size off the load.
    pub fn remove(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// The bytes of all messages that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_at_a_time_takes_all_in_order() {
        let mut backlog = Backlog::default();
        assert!(backlog.push(1));
        assert!(!backlog.push(2));
        assert_eq!((backlog.take(), backlog.take()), (Some(1), Some(2)));
        // The worker still works on the last item.
        assert!(!backlog.push(3));
        assert_eq!((backlog.take(), backlog.take()), (Some(3), None));
        assert!(backlog.push(4), "the worker has ended");
        backlog.unattended();
        assert!(backlog.push(5), "the worker could not begin");
    }

    #[test]
    fn a_single_message_always_has_room() {
        let capacity = Capacity {
            messages: 2,
            bytes: 10,
        };
        let one = Waiting::default().with(100, capacity).unwrap();
        assert_eq!(one.with(1, capacity), None);
        let small = Waiting::default().with(5, capacity).unwrap();
        let two = small.with(5, capacity).unwrap();
        assert_eq!(two.with(0, capacity), None, "two messages are the most");
        let mut left = two;
        left.remove(5);
        left.remove(5);
        assert!(left.is_empty() && left.bytes() == 0);
    }
}
