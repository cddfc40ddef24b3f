//! Between the platform's requests and responses and those of hooks.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame};
use js_sys::Uint8Array;
use partyserver::host::ending;
use partyserver::{Body, BodyError, BoxFuture, Response};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::js;
use crate::task;
use crate::time::{Sleep, now};

/// Headers from the shim's form: a name and a value on each pair of lines. A
/// value that HTTP does not allow is left out.
pub(crate) fn headers(head: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut lines = head.split('\n');
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            // The platform gives bytes as Latin-1.
            HeaderValue::from_bytes(&value.chars().map(|c| c as u8).collect::<Vec<_>>()),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

/// The body of a request, read when it is asked for. Without one there is no
/// `request`.
pub(crate) fn body(request: &JsValue, max: usize) -> Body {
    if request.is_undefined() {
        return Body::empty();
    }
    let request = request.clone();
    let read = async move {
        let read = js::settled(Ok(js::body(&request, max as f64))).await;
        let bytes =
            read.map_err(|thrown| BodyError::Interrupted(js::error_text(&thrown).into()))?;
        let bytes: Uint8Array = bytes.dyn_into().map_err(|_| BodyError::TooLarge)?;
        Ok(bytes.to_vec().into())
    };
    Body::stream(Incoming {
        read: Some(Box::pin(read)),
    })
}

/// A body that comes in one piece.
struct Incoming {
    read: Option<BoxFuture<'static, Result<Bytes, BodyError>>>,
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(read) = &mut self.read else {
            return Poll::Ready(None);
        };
        let bytes = std::task::ready!(read.as_mut().poll(cx));
        self.read = None;
        Poll::Ready(Some(bytes.map(Frame::data)))
    }
}

/// A response as the platform sends it.
pub(crate) fn response(response: Response) -> JsValue {
    let sleep = |time| Box::pin(Sleep::new(time)) as BoxFuture<'static, ()>;
    let (parts, body) = ending(response, now, sleep).into_parts();
    let mut head = String::new();
    for (name, value) in &parts.headers {
        head.push_str(name.as_str());
        head.push('\n');
        head.extend(value.as_bytes().iter().map(|byte| *byte as char));
        head.push('\n');
    }
    js::respond(parts.status.as_u16(), &head, &to_js(body)).into()
}

/// Whole bodies as bytes, others as a stream.
fn to_js(mut body: Body) -> JsValue {
    if body.is_end_stream() {
        return JsValue::NULL;
    }
    if body.is_whole() {
        let mut cx = Context::from_waker(Waker::noop());
        return match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frame
                .into_data()
                .map_or(JsValue::NULL, |bytes| Uint8Array::from(&bytes[..]).into()),
            _ => JsValue::NULL,
        };
    }
    js::stream(Chunks(Rc::new(RefCell::new(Some(body)))))
}

/// The chunks of a body, one after the other.
#[wasm_bindgen]
pub struct Chunks(Rc<RefCell<Option<Body>>>);

#[wasm_bindgen]
impl Chunks {
    /// Offers the next chunk; `false` at the end, a string when the body broke.
    pub fn next(&self) {
        let slot = Rc::clone(&self.0);
        let next = async move {
            let Some(mut body) = slot.take() else {
                return JsValue::FALSE;
            };
            loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                match frame {
                    None => return JsValue::FALSE,
                    Some(Err(error)) => return JsValue::from_str(&error.to_string()),
                    Some(Ok(frame)) => {
                        if let Ok(bytes) = frame.into_data() {
                            *slot.borrow_mut() = Some(body);
                            return Uint8Array::from(&bytes[..]).into();
                        }
                    }
                }
            }
        };
        task::offer(next, |_| JsValue::from_str("the body's stream failed"))
    }
}
