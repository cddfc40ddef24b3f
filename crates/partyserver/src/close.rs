//! Close codes and reasons (RFC 6455 section 7.4).

use std::borrow::Cow;

/// A close frame to send: code and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    code: u16,
    reason: Cow<'static, str>,
}

impl Close {
    /// Normal end.
    pub const NORMAL: u16 = 1000;
    /// The server stops, or the user leaves the page.
    pub const GOING_AWAY: u16 = 1001;
    /// A rule was broken. `agents` clients do not come back after it.
    pub const POLICY: u16 = 1008;
    /// The message is too large.
    pub const TOO_LARGE: u16 = 1009;
    /// The server failed.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// Come back later.
    pub const TRY_AGAIN_LATER: u16 = 1013;

    /// A close frame. A reason over 123 bytes, the limit of a control frame,
    /// is cut at a character.
    ///
    /// A code that may not stand on the wire (below 1000, 1004, 1005, 1006,
    /// 1015, 1016 to 2999, over 4999) becomes 1011: sending it would make a
    /// client fail the connection.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        let code = if is_sendable(code) {
            code
        } else {
            Self::INTERNAL_ERROR
        };
        let mut reason = reason.into();
        if reason.len() > MAX_REASON_BYTES {
            let end = reason.floor_char_boundary(MAX_REASON_BYTES);
            reason = Cow::Owned(reason[..end].to_owned());
        }
        Self { code, reason }
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason, possibly empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// How a connection ended: what `on_close` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseEvent {
    /// The code of the client's or the server's close frame; 1005 when the
    /// frame had none, 1006 when the stream ended without one.
    pub code: u16,
    /// The reason, possibly empty. Written by the client when it closed first.
    pub reason: String,
    /// Whether the connection ended by a close frame.
    pub clean: bool,
}

impl CloseEvent {
    /// The end of a connection by a close frame.
    pub fn clean(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            clean: true,
        }
    }

    /// The end of a stream without a close frame.
    pub fn abnormal() -> Self {
        Self {
            code: 1006,
            reason: String::new(),
            clean: false,
        }
    }
}

/// What happens to the messages that still wait for a client when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They are sent before the close frame.
    Sent,
    /// They are thrown away, and the close frame goes first.
    Dropped,
}

/// 125 bytes of a control frame's payload, less two for the code.
const MAX_REASON_BYTES: usize = 123;

fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_not_be_sent_become_1011() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert_eq!(Close::new(code, "").code(), 1011, "{code}");
        }
        for code in [1000, 1001, 1008, 1013, 3000, 4000, 4999] {
            assert_eq!(Close::new(code, "").code(), code);
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let close = Close::new(1000, "ü".repeat(100));
        assert_eq!(close.reason(), "ü".repeat(61));
    }
}
