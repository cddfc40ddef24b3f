//! Messages on their way to a client.
//!
//! They wait here, not in the WebSocket stream's own queue, until the kernel takes
//! them. So a deadline or a revocation can throw away the waiting messages. If the
//! kernel has begun to take a frame, the rest of that frame is still sent, so that the
//! client can understand the close frame behind it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use partyserver::Message;
use tokio::io::AsyncWrite;

use super::connection::KEPT_PLACES;

/// Frames in the order in which they are sent. Several share one write.
#[derive(Default)]
pub(crate) struct Sending {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// How many bytes of the first frame were written.
    written: usize,
}

/// A message as one frame. A server does not mask its frames (RFC 6455 section 5.2).
struct Frame {
    head: [u8; MAX_HEAD],
    head_len: usize,
    payload: Bytes,
}

impl Frame {
    fn new(message: Message) -> Self {
        let (opcode, payload) = match message {
            Message::Text(text) => (1, text.into_bytes()),
            Message::Binary(bytes) => (2, bytes),
        };
        let mut head = [0; MAX_HEAD];
        head[0] = FINAL | opcode;
        let length = payload.len();
        let head_len = match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ ..126), _) => {
                head[1] = length;
                2
            }
            (_, Ok(length)) => {
                head[1] = 126;
                head[2..4].copy_from_slice(&length.to_be_bytes());
                4
            }
            _ => {
                head[1] = 127;
                head[2..].copy_from_slice(&(length as u64).to_be_bytes());
                MAX_HEAD
            }
        };
        Self {
            head,
            head_len,
            payload,
        }
    }

    fn len(&self) -> usize {
        self.head_len + self.payload.len()
    }

    /// The two parts of the frame, without its first bytes.
    fn parts(&self, without: usize) -> [&[u8]; 2] {
        let head = &self.head[without.min(self.head_len)..self.head_len];
        [head, &self.payload[without.saturating_sub(self.head_len)..]]
    }
}

impl Sending {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether it holds about as much as one write can take.
    pub(crate) fn is_full(&self) -> bool {
        self.frames.len() >= MAX_SLICES / 2 || self.bytes >= MAX_BYTES
    }

    pub(crate) fn push(&mut self, message: Message) {
        let frame = Frame::new(message);
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Throws away every frame that the kernel has not begun to take.
    pub(crate) fn cut(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.bytes = self.frames.iter().map(Frame::len).sum::<usize>() - self.written;
    }

    /// Writes once.
    pub(crate) fn poll_write(
        &mut self,
        stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_write_of(self.frames.len(), stream, cx)
    }

    /// Writes the rest of a frame that was begun. Only after that may anything else be
    /// written to the stream.
    pub(crate) fn poll_finish(
        &mut self,
        mut stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written > 0 {
            ready!(self.poll_write_of(1, stream.as_mut(), cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes once, from the first `count` frames.
    fn poll_write_of(
        &mut self,
        count: usize,
        stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut filled = 0;
        let mut without = self.written;
        for frame in self.frames.iter().take(count.min(MAX_SLICES / 2)) {
            for part in frame.parts(std::mem::take(&mut without)) {
                if !part.is_empty() {
                    slices[filled] = IoSlice::new(part);
                    filled += 1;
                }
            }
        }
        if filled == 0 {
            return Poll::Ready(Ok(()));
        }
        let slices = &slices[..filled];
        // Small frames are copied into one piece, because copying costs less than
        // passing a list to the system.
        let mut piece = [0; MAX_PIECE];
        let outcome = match gather(slices, &mut piece) {
            Some(piece) => stream.poll_write(cx, piece),
            None => stream.poll_write_vectored(cx, slices),
        };
        match ready!(outcome)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => {
                self.advance(written);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written;
        while let Some(first) = self.frames.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.frames.pop_front();
        }
        if self.frames.is_empty() && self.frames.capacity() > KEPT_PLACES {
            self.frames = VecDeque::new();
        }
    }
}

/// The slices joined together. `None` when they do not fit.
fn gather<'p>(slices: &[IoSlice<'_>], piece: &'p mut [u8]) -> Option<&'p [u8]> {
    let mut length = 0;
    for slice in slices {
        let end = length + slice.len();
        piece.get_mut(length..end)?.copy_from_slice(slice);
        length = end;
    }
    Some(&piece[..length])
}

const FINAL: u8 = 0x80;
const MAX_HEAD: usize = 10;
/// How many parts one write may have. A frame has two.
const MAX_SLICES: usize = 64;
const MAX_BYTES: usize = 64 * 1024;
/// The most that is copied into one piece, in bytes.
const MAX_PIECE: usize = 512;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes this many bytes at a time, and nothing when no turns are left.
    struct Narrow {
        turns: Vec<usize>,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let Some(width) = self.turns.pop() else {
                return Poll::Pending;
            };
            let all: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.iter())
                .copied()
                .collect();
            let taken = &all[..width.min(all.len())];
            self.taken.extend(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn sending(messages: &[&'static str]) -> Sending {
        let mut sending = Sending::default();
        for message in messages {
            sending.push((*message).into());
        }
        sending
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, head) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = Frame::new(vec![7; length].into());
            assert_eq!(frame.parts(0), [head, &vec![7; length]]);
        }
        assert_eq!(Frame::new("x".into()).parts(0), [&[0x81, 1][..], b"x"]);
    }

    #[test]
    fn frames_that_wait_share_a_write() {
        let mut sending = sending(&["one", "", "three"]);
        let mut stream = Narrow {
            turns: vec![100],
            taken: Vec::new(),
        };
        assert!(
            sending
                .poll_write(Pin::new(&mut stream), &mut cx())
                .is_ready()
        );
        assert_eq!(stream.taken, b"\x81\x03one\x81\x00\x81\x05three");
        assert!(sending.is_empty());
    }

    #[test]
    fn slices_are_gathered_only_as_a_whole() {
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
        assert_eq!(gather(&slices, &mut [0; 4]), Some(&b"abcd"[..]));
        assert_eq!(gather(&slices, &mut [0; 3]), None);
    }

    #[test]
    fn only_the_frame_that_was_begun_is_sent_after_a_cut() {
        // It does not matter how much of the first two frames was taken.
        for width in 0..=10 {
            let mut sending = sending(&["one", "two", "three"]);
            let mut stream = Narrow {
                turns: vec![100, 1, 1, width.max(1)],
                taken: Vec::new(),
            };
            if width > 0 {
                let written = sending.poll_write(Pin::new(&mut stream), &mut cx());
                assert!(written.is_ready());
            }
            sending.cut();
            let finished = sending.poll_finish(Pin::new(&mut stream), &mut cx());
            assert!(finished.is_ready());
            let whole: &[u8] = match width {
                0 => b"",
                1..=5 => b"\x81\x03one",
                _ => b"\x81\x03one\x81\x03two",
            };
            assert_eq!(stream.taken, whole, "{width}");
            assert!(sending.is_empty() && sending.bytes == 0);
        }
    }

    #[test]
    fn a_stream_that_takes_bytes_one_by_one_gets_all() {
        let mut sending = sending(&["one", "two"]);
        let mut stream = Narrow {
            turns: vec![1; 10],
            taken: Vec::new(),
        };
        for _ in 0..10 {
            assert!(
                sending
                    .poll_write(Pin::new(&mut stream), &mut cx())
                    .is_ready()
            );
        }
        assert_eq!(stream.taken, b"\x81\x03one\x81\x03two");
    }
}
