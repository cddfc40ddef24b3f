//! A connection's life: open, ending, told.
//!
//! Only this module decides what may be handled or sent at a given time. The time is an
//! argument. The host carries out what this asks for: it sends the close frame, empties
//! the queue and sets the timer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::closing::stream_ended;
pub use crate::close::Rest;
use crate::close::{Close, CloseEvent};

/// The life of one connection that has joined its room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    stage: Stage,
    /// The deadline that the room's code set. The earliest counts.
    own: Option<Deadline>,
    /// The end of the connection's identity. Each renewal replaces it.
    identity: Option<Deadline>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It is among the room's connections.
    #[default]
    Open,
    /// It has left the room, but the room was not told yet.
    Ending(Ending),
    /// The room was told, or is being told.
    Told(Ending),
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The close frame.
    pub close: Close,
    /// What happens to the messages that still wait for the client.
    pub rest: Rest,
    /// Which side ended it first.
    pub by: Side,
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The room, or the host in its name.
    Ours,
    /// The client, or the network: the stream has ended.
    Theirs,
}

/// When a connection ends by itself, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The wall clock, in whole milliseconds.
    pub at: SystemTime,
    /// The close frame.
    pub close: Close,
}

/// What a step changed, so that the host can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// Nothing.
    None,
    /// It has ended just now: it leaves the room's list, and its close frame is due.
    Ended,
    /// It had ended before. From here on the messages that still wait are thrown away.
    Cut,
}

impl Deadline {
    /// A deadline. It is rounded down to a millisecond, so that it is never extended.
    pub fn new(at: SystemTime, close: Close) -> Self {
        Self {
            at: from_millis(to_millis(at)),
            close,
        }
    }

    fn is_due(&self, now: SystemTime) -> bool {
        now >= self.at
    }
}

impl Life {
    /// The life of a connection that slept, from the deadlines that were kept.
    pub fn restored(own: Option<Deadline>, identity: Option<Deadline>) -> Self {
        Self {
            stage: Stage::Open,
            own,
            identity,
        }
    }

    /// Whether a frame may be handled or sent at this time.
    pub fn is_open(&self, now: SystemTime) -> bool {
        matches!(self.stage, Stage::Open) && self.due(now).is_none()
    }

    /// Ends the connection if its time is up. Nothing is sent from then on: if the
    /// connection was closed before, its waiting messages are thrown away now.
    pub fn look(&mut self, now: SystemTime) -> Change {
        match self.due(now).map(|deadline| deadline.close.clone()) {
            Some(close) => self.close(close, Rest::Dropped),
            None => Change::None,
        }
    }

    /// Ends the connection. The first close frame counts. A later call can still drop
    /// the waiting messages.
    pub fn close(&mut self, close: Close, rest: Rest) -> Change {
        self.end(close, rest, Side::Ours)
    }

    fn end(&mut self, close: Close, rest: Rest, by: Side) -> Change {
        match &mut self.stage {
            Stage::Open => {
                self.stage = Stage::Ending(Ending { close, rest, by });
                Change::Ended
            }
            Stage::Ending(ending) | Stage::Told(ending)
                if rest == Rest::Dropped && ending.rest == Rest::Sent =>
            {
                ending.rest = Rest::Dropped;
                Change::Cut
            }
            Stage::Ending(_) | Stage::Told(_) => Change::None,
        }
    }

    /// The connection's stream has ended, so nothing can be sent any more.
    pub fn gone(&mut self) -> Change {
        self.end(stream_ended(), Rest::Dropped, Side::Theirs)
    }

    /// Sets the time at which the room wants the connection to end. The earliest such
    /// time counts. Returns whether this one does. If so, the host keeps it with the
    /// connection, even while the identity ends earlier, because a renewal may move that
    /// end.
    pub fn close_at(&mut self, at: SystemTime, close: Close) -> bool {
        let deadline = Deadline::new(at, close);
        if self.own.as_ref().is_some_and(|own| own.at <= deadline.at) {
            return false;
        }
        self.own = Some(deadline);
        true
    }

    /// The connection's identity is valid until this time, which may be earlier or
    /// later than before. Returns whether the connection is still open: a renewal never
    /// reopens one.
    pub fn renew(&mut self, until: SystemTime, close: Close, now: SystemTime) -> bool {
        if self.due(now).is_some() {
            return false;
        }
        // What still waits of one that was closed before is not sent past it either.
        self.identity = Some(Deadline::new(until, close));
        matches!(self.stage, Stage::Open)
    }

    /// When it ends by itself.
    pub fn ends_at(&self) -> Option<SystemTime> {
        self.deadlines().map(|deadline| deadline.at).min()
    }

    /// The deadline of the room's code.
    pub fn own_deadline(&self) -> Option<&Deadline> {
        self.own.as_ref()
    }

    /// The end of the identity.
    pub fn identity_deadline(&self) -> Option<&Deadline> {
        self.identity.as_ref()
    }

    /// How it ends, once it does.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.stage {
            Stage::Open => None,
            Stage::Ending(ending) | Stage::Told(ending) => Some(ending),
        }
    }

    /// Whether the caller must tell the room of the end. `true` only once, and only
    /// after the end.
    pub fn tell(&mut self) -> bool {
        if let Stage::Ending(ending) = &self.stage {
            self.stage = Stage::Told(ending.clone());
            return true;
        }
        false
    }

    /// The socket has ended, as `seen`. Returns what the caller is to tell the room, once:
    /// how this side had closed it, where it had, else what was seen.
    pub fn ended(&mut self, seen: CloseEvent) -> Option<CloseEvent> {
        let event = match self.ending() {
            Some(ending) if ending.by == Side::Ours => {
                CloseEvent::clean(ending.close.code(), ending.close.reason())
            }
            _ => seen,
        };
        // Nothing is left to close.
        let _ = self.gone();
        self.tell().then_some(event)
    }

    /// Whether the room was told, or is being told.
    pub fn is_told(&self) -> bool {
        matches!(self.stage, Stage::Told(_))
    }

    fn deadlines(&self) -> impl Iterator<Item = &Deadline> {
        self.own.iter().chain(&self.identity)
    }

    /// The earliest deadline that is due. If both are due at the same time, the
    /// identity's gives the reason.
    fn due(&self, now: SystemTime) -> Option<&Deadline> {
        match (&self.own, &self.identity) {
            (None, None) => None,
            (Some(own), Some(identity)) if own.at < identity.at => Some(own),
            (Some(deadline), None) | (_, Some(deadline)) => Some(deadline),
        }
        .filter(|deadline| deadline.is_due(now))
    }
}

/// Milliseconds since 1970, rounded down. An earlier time becomes 1970. A time beyond
/// the range of JavaScript's `Date` becomes the last one in that range.
pub fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis())
        .unwrap_or(LATEST_MILLIS)
        .min(LATEST_MILLIS)
}

/// The time of [`to_millis`].
pub fn from_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.min(LATEST_MILLIS))
}

const LATEST_MILLIS: u64 = 8_640_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        from_millis(millis)
    }

    fn expired() -> Close {
        Close::new(3000, "token expired")
    }

    #[test]
    fn nothing_is_handled_from_the_deadline_on() {
        let mut life = Life::default();
        assert!(life.renew(at(100), expired(), at(0)));
        assert!(life.is_open(at(99)));
        assert!(!life.is_open(at(100)));
        assert_eq!(life.look(at(99)), Change::None);
        assert_eq!(life.look(at(100)), Change::Ended);
        let ending = life.ending().unwrap();
        assert_eq!((ending.close.code(), ending.rest), (3000, Rest::Dropped));
        assert_eq!(life.look(at(100)), Change::None);
    }

    #[test]
    fn a_renewal_moves_the_end_both_ways_and_revives_nothing() {
        let mut life = Life::default();
        assert!(life.renew(at(100), expired(), at(0)));
        assert!(life.renew(at(200), expired(), at(99)));
        assert!(life.is_open(at(150)));
        assert!(life.renew(at(160), expired(), at(150)));
        assert_eq!(life.ends_at(), Some(at(160)));
        // Nobody has called `look` yet, but the deadline has passed, so a renewal
        // fails.
        assert!(!life.renew(at(300), expired(), at(160)));
        assert!(!life.is_open(at(160)));
    }

    #[test]
    fn a_renewal_does_not_extend_what_the_room_has_set() {
        let mut life = Life::default();
        let own = Close::new(4000, "the game is over");
        assert!(life.close_at(at(100), own.clone()));
        assert!(!life.close_at(at(120), own.clone()));
        assert!(life.renew(at(50), expired(), at(0)));
        assert!(
            life.close_at(at(90), own.clone()),
            "later than the identity"
        );
        assert!(life.renew(at(500), expired(), at(0)));
        assert_eq!(life.ends_at(), Some(at(90)));
        assert_eq!(life.look(at(90)), Change::Ended);
        assert_eq!(life.ending().map(|ending| &ending.close), Some(&own));
    }

    #[test]
    fn the_first_close_counts_and_what_waits_can_still_be_dropped() {
        let mut life = Life::default();
        assert_eq!(
            life.close(Close::new(1000, "bye"), Rest::Sent),
            Change::Ended
        );
        assert_eq!(life.close(Close::new(4000, ""), Rest::Sent), Change::None);
        assert_eq!(life.close(Close::new(1008, ""), Rest::Dropped), Change::Cut);
        assert_eq!(life.gone(), Change::None);
        let ending = life.ending().unwrap();
        assert_eq!((ending.close.code(), ending.rest), (1000, Rest::Dropped));
    }

    #[test]
    fn what_waits_of_a_closed_one_is_not_sent_past_its_deadline() {
        let mut life = Life::default();
        assert!(life.renew(at(100), expired(), at(0)));
        assert_eq!(
            life.close(Close::new(1000, "bye"), Rest::Sent),
            Change::Ended
        );
        assert_eq!(life.look(at(99)), Change::None);
        assert_eq!(life.look(at(100)), Change::Cut);
        assert_eq!(life.look(at(101)), Change::None);
        let ending = life.ending().unwrap();
        assert_eq!((ending.close.code(), ending.rest), (1000, Rest::Dropped));
    }

    #[test]
    fn the_room_is_told_once_and_after_the_end() {
        let mut life = Life::default();
        assert!(!life.tell());
        assert_eq!(life.gone(), Change::Ended);
        assert!(life.tell() && life.is_told());
        assert!(!life.tell());
    }

    #[test]
    fn the_room_is_told_how_this_side_closed_whatever_the_client_does() {
        let seen = CloseEvent::clean(1000, "bye");
        let mut life = Life::default();
        assert_eq!(life.ended(seen.clone()), Some(seen.clone()));
        assert_eq!(life.ended(seen.clone()), None);
        let mut life = Life::default();
        let _ = life.gone();
        assert_eq!(life.ended(seen.clone()), Some(seen.clone()));
        for seen in [seen, CloseEvent::abnormal()] {
            let mut life = Life::default();
            let _ = life.close(Close::new(4000, "the end"), Rest::Sent);
            let told = life.ended(seen);
            assert_eq!(told, Some(CloseEvent::clean(4000, "the end")));
        }
    }

    #[test]
    fn times_are_clamped_to_what_every_host_can_tell() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 44);
        assert_eq!(to_millis(far), LATEST_MILLIS);
        assert_eq!(to_millis(UNIX_EPOCH - Duration::from_secs(1)), 0);
        let fraction = UNIX_EPOCH + Duration::from_micros(1_999);
        assert_eq!(Deadline::new(fraction, expired()).at, at(1));
    }
}
