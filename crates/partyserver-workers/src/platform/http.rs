//! Converts requests and responses between the platform and hooks.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame};
use js_sys::Uint8Array;
use partyserver::host::ending;
use partyserver::host::failure::failed;
use partyserver::{Body, BodyError, BoxFuture, Response};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::js;
use super::task::Event;
use super::time::{Sleep, now};

/// Headers from the shim's form, in which two lines are a name and a value. A value
/// that HTTP does not allow is left out.
pub(crate) fn headers(head: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut lines = head.split('\n');
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        if let (Ok(name), Some(value)) =
            (HeaderName::from_bytes(name.as_bytes()), from_latin1(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// The value of a header. The platform gives its bytes as Latin-1.
pub(crate) fn from_latin1(value: &str) -> Option<HeaderValue> {
    if value.is_ascii() {
        return HeaderValue::from_str(value).ok();
    }
    let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
    HeaderValue::from_bytes(&bytes.ok()?).ok()
}

/// JSON with every character outside ASCII escaped, because it travels as a header's
/// value.
pub(crate) fn to_ascii(json: String) -> String {
    if json.is_ascii() {
        return json;
    }
    let mut ascii = String::with_capacity(json.len() + 64);
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

/// The body of a request, which is read when it is asked for. If the request has no
/// body, `request` is undefined.
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

/// A response in the platform's form.
pub(crate) fn response(response: Response) -> JsValue {
    let sleep = |time| Box::pin(Sleep::new(time)) as BoxFuture<'static, ()>;
    let (parts, body) = ending(response, now, sleep).into_parts();
    let answer = respond(&parts, &to_js(body));
    answer.unwrap_or_else(|thrown| {
        // The response has a status or header that the platform can't send.
        let id = js::random_id();
        let error = js::error_text(&thrown);
        tracing::error!(%id, status = parts.status.as_u16(), error, "an answer can't be sent");
        let (parts, body) = failed(&id).into_parts();
        respond(&parts, &to_js(body)).unwrap_or(JsValue::NULL)
    })
}

fn respond(parts: &http::response::Parts, body: &JsValue) -> Result<JsValue, JsValue> {
    let mut head = String::new();
    for (name, value) in &parts.headers {
        head.push_str(name.as_str());
        head.push('\n');
        head.extend(value.as_bytes().iter().map(|byte| *byte as char));
        head.push('\n');
    }
    js::respond(parts.status.as_u16(), &head, body).map(JsValue::from)
}

/// A whole body becomes bytes, any other a stream.
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
    js::stream(Chunks(Rc::new(Stream {
        body: RefCell::new(Some(body)),
        waker: RefCell::default(),
    })))
}

/// The chunks of a body, one after the other.
#[wasm_bindgen]
pub struct Chunks(Rc<Stream>);

struct Stream {
    /// `None` when nobody wants the rest.
    body: RefCell<Option<Body>>,
    waker: RefCell<Option<Waker>>,
}

#[wasm_bindgen]
impl Chunks {
    /// The next chunk, or a task that will have it. `false` at the end. A string when
    /// the body broke.
    pub fn next(&self) -> JsValue {
        let stream = Rc::clone(&self.0);
        let next = std::future::poll_fn(move |cx| stream.poll(cx));
        Event::new(next, |_| JsValue::from_str("the body's stream failed")).begin()
    }

    /// Drops the body, because the client is gone.
    pub fn cancel(&self) {
        // After a panic in the body it stays borrowed for ever.
        let body = self
            .0
            .body
            .try_borrow_mut()
            .ok()
            .and_then(|mut body| body.take());
        drop(body);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}

impl Stream {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<JsValue> {
        let mut body = self.body.borrow_mut();
        loop {
            let Some(unread) = body.as_mut() else {
                return Poll::Ready(JsValue::FALSE);
            };
            let answer = match Pin::new(unread).poll_frame(cx) {
                Poll::Pending => {
                    self.waker.replace(Some(cx.waker().clone()));
                    return Poll::Pending;
                }
                Poll::Ready(None) => JsValue::FALSE,
                Poll::Ready(Some(Err(error))) => JsValue::from_str(&error.to_string()),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => return Poll::Ready(Uint8Array::from(&bytes[..]).into()),
                    Err(_) => continue,
                },
            };
            *body = None;
            return Poll::Ready(answer);
        }
    }
}
