//! What passes from the Worker, where a request was verified, to the object of
//! its room: one header that only the Worker sets. Objects have no address of
//! their own, and the Worker passes on no header of a client's.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use partyserver::{Attachments, Body, Handshake, Lifetime, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A request that was admitted at the edge.
pub(crate) struct HandOff {
    head: Parts,
    /// What the gate attached.
    pub(crate) attachments: Attachments,
    pub(crate) origin: Option<String>,
    pub(crate) is_upgrade: bool,
    /// The subprotocol that the answer selects.
    pub(crate) protocol: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Text<'t> {
    method: &'t str,
    uri: String,
    /// Names and values, as Latin-1.
    headers: Vec<(String, String)>,
    #[serde(borrow)]
    attachments: &'t RawValue,
    is_upgrade: bool,
    protocol: Option<String>,
}

/// Writes what an object is handed, in ASCII: it travels as a header.
pub(crate) fn write(
    head: &Parts,
    attachments: &Attachments,
    is_upgrade: bool,
    protocol: Option<String>,
) -> serde_json::Result<String> {
    // The token goes along; it stays in memory on both sides.
    let attachments = RawValue::from_string(attachments.encode(Lifetime::Memory)?)?;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = value.as_bytes().iter().map(|byte| *byte as char);
        (name.as_str().to_owned(), value.collect())
    });
    let text = serde_json::to_string(&Text {
        method: head.method.as_str(),
        uri: head.uri.to_string(),
        headers: headers.collect(),
        attachments: &attachments,
        is_upgrade,
        protocol,
    })?;
    Ok(to_ascii(text))
}

impl HandOff {
    /// Reads what [`write`] wrote. `None` when it is anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text: Text<'_> = serde_json::from_str(text).ok()?;
        let attachments = Attachments::decode(text.attachments.get()).ok()?;
        let mut headers = HeaderMap::with_capacity(text.headers.len());
        for (name, value) in &text.headers {
            let value: Vec<u8> = value.chars().map(|c| c as u8).collect();
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_bytes(&value).ok()?,
            );
        }
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = Method::from_bytes(text.method.as_bytes()).ok()?;
        head.uri = text.uri.parse::<Uri>().ok()?;
        let origin = headers.get(http::header::ORIGIN);
        let origin = origin.and_then(|origin| origin.to_str().ok());
        let origin = origin.map(str::to_owned);
        head.headers = headers;
        head.extensions.insert(attachments.clone());
        Some(Self {
            head,
            attachments,
            origin,
            is_upgrade: text.is_upgrade,
            protocol: text.protocol,
        })
    }

    pub(crate) fn into_request(self, body: Body) -> Request {
        Request::from_parts(self.head, body)
    }

    pub(crate) fn into_handshake(self) -> Handshake {
        Handshake::from_parts(self.head, ())
    }
}

/// JSON with every character outside ASCII escaped.
fn to_ascii(json: String) -> String {
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
