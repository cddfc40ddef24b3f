//! Requests with the global `fetch`.

use std::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{Object, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::policy::is_secure_url;
use crate::verifier::port::{BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse};

/// The runtime's own client.
#[derive(Debug)]
pub(super) struct GlobalFetch;

impl Fetch for GlobalFetch {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<FetchResponse, FetchError>> {
        Box::pin(SendWrapper::new(async move {
            if !is_secure_url(request.url) {
                return Err(FetchError::Insecure);
            }
            match get(request).await {
                Ok(Some(response)) => Ok(response),
                Ok(None) => Err(FetchError::TooLarge),
                Err(thrown) => Err(failure(&thrown)),
            }
        }))
    }
}

/// Fetches. `None` when the body is over the limit.
async fn get(request: FetchRequest<'_>) -> Result<Option<FetchResponse>, JsValue> {
    let response = fetch(request.url, &init(&request)?)?;
    let response: Response = JsFuture::from(response).await?.unchecked_into();
    let status = response.status();
    if status == 0 {
        // Browsers report a redirect that is not followed in this way.
        return Err(js_sys::Error::new("the answer is a redirect").into());
    }
    let Some(body) = read(&response, request.max_bytes).await? else {
        return Ok(None);
    };
    Ok(Some(FetchResponse {
        status,
        cache_control: response.headers().get("cache-control"),
        body,
    }))
}

/// The options of a request. They have only members that Workers know: any other
/// member, for example `credentials` or `cache`, makes their `fetch` throw.
fn init(request: &FetchRequest<'_>) -> Result<Object, JsValue> {
    let headers = Object::new();
    set(&headers, "accept", &"application/json".into())?;
    if let Some(token) = request.bearer {
        let value = format!("Bearer {}", token.expose());
        set(&headers, "authorization", &value.into())?;
    }
    let init = Object::new();
    set(&init, "headers", &headers)?;
    set(&init, "redirect", &"manual".into())?;
    // The limit holds for the body too: after it, reading the body fails.
    let limit = request.timeout.min(Duration::from_secs(60));
    set(&init, "signal", &timeout(limit.as_millis() as u32))?;
    Ok(init)
}

/// The whole body. `None` when it is over the limit.
async fn read(response: &Response, max_bytes: usize) -> Result<Option<Vec<u8>>, JsValue> {
    let mut body = Vec::new();
    let Some(stream) = response.body() else {
        return Ok(Some(body));
    };
    let reader = stream.reader();
    loop {
        let chunk: Chunk = JsFuture::from(reader.read()?).await?.unchecked_into();
        let Some(bytes) = chunk.value() else {
            return Ok(Some(body));
        };
        if bytes.length() as usize > max_bytes - body.len() {
            // Nobody needs the result or waits for it.
            let _ = reader.cancel();
            return Ok(None);
        }
        body.extend(bytes.to_vec());
    }
}

/// A thrown value as an error of the port.
fn failure(thrown: &JsValue) -> FetchError {
    let member = |name: &str| {
        let value = Reflect::get(thrown, &name.into()).ok();
        value.and_then(|value| value.as_string())
    };
    if member("name").is_some_and(|name| name == "TimeoutError") {
        return FetchError::TimedOut;
    }
    FetchError::Connection(member("message").unwrap_or_else(|| "fetch failed".to_owned()))
}

fn set(object: &Object, name: &str, value: &JsValue) -> Result<(), JsValue> {
    Reflect::set(object, &name.into(), value).map(|_| ())
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch)]
    fn fetch(url: &str, init: &Object) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = AbortSignal)]
    fn timeout(milliseconds: u32) -> JsValue;

    type Response;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Response) -> u16;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &Response) -> Headers;
    #[wasm_bindgen(method, getter)]
    fn body(this: &Response) -> Option<Stream>;

    type Headers;
    #[wasm_bindgen(method)]
    fn get(this: &Headers, name: &str) -> Option<String>;

    type Stream;
    #[wasm_bindgen(method, js_name = getReader)]
    fn reader(this: &Stream) -> Reader;

    type Reader;
    #[wasm_bindgen(method, catch)]
    fn read(this: &Reader) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn cancel(this: &Reader) -> Result<Promise, JsValue>;

    /// What a reader reads: it has no value at the end.
    type Chunk;
    #[wasm_bindgen(method, getter)]
    fn value(this: &Chunk) -> Option<Uint8Array>;
}
