//! Where a provider's keys are (OpenID Connect Discovery 1.0, RFC 8414).

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::json;
use crate::policy::is_secure_url;

/// The parts of a provider's metadata that a resource server uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    issuer: String,
    pub(crate) jwks_uri: String,
    /// Where a token may be sent: https, or loopback.
    #[serde(default, deserialize_with = "secure_url")]
    pub(crate) userinfo_endpoint: Option<String>,
}

/// Why a discovery document is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The answer is not a JSON object, has a member twice, or lacks `issuer` or
    /// `jwks_uri`. The provider is at fault, or the URL is not a provider's.
    #[error("the answer is not a discovery document")]
    NotADocument,
    /// The document belongs to another issuer. The operator is at fault: tokens of this
    /// provider carry the issuer that its document names.
    #[error("the document names the issuer {found:?}: set the issuer to exactly that value")]
    OtherIssuer {
        /// The issuer that the document names, escaped by `Debug` and cut.
        found: String,
    },
    /// `jwks_uri` is not https (http is allowed only on loopback).
    #[error("jwks_uri is not an https URL")]
    Insecure,
}

/// The URLs of an issuer's metadata, in the order in which they are tried:
/// OpenID Connect's (appended to the issuer, one trailing slash removed), then
/// RFC 8414's (inserted before the issuer's path).
pub fn metadata_urls(issuer: &str) -> [String; 2] {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let (origin, path) = match base.find("://").map(|scheme| scheme + 3) {
        Some(host) => match base[host..].find('/') {
            Some(path) => base.split_at(host + path),
            None => (base, ""),
        },
        None => (base, ""),
    };
    [
        format!("{base}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

impl Metadata {
    /// Reads the document of this issuer.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub fn parse(text: &[u8], issuer: &str) -> Result<Self, DiscoveryError> {
        // The text is parsed as a whole object first. Deserializing straight into the
        // type would not check the members that it skips, and would accept an array.
        let metadata = json::parse_object(text)
            .and_then(|object| Self::deserialize(object).ok())
            .ok_or(DiscoveryError::NotADocument)?;
        if metadata.issuer != issuer {
            let found = metadata.issuer.chars().take(MAX_SHOWN_CHARS).collect();
            return Err(DiscoveryError::OtherIssuer { found });
        }
        if !is_secure_url(&metadata.jwks_uri) {
            return Err(DiscoveryError::Insecure);
        }
        Ok(metadata)
    }
}

/// A URL that is safe to use, else `None`, because a resource server can do without it.
fn secure_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = match Value::deserialize(deserializer)? {
        Value::String(url) => Some(url),
        _ => None,
    };
    Ok(url.filter(|url| is_secure_url(url)))
}

/// How many characters of a foreign value are shown.
const MAX_SHOWN_CHARS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (issuer, openid, oauth) in [
            (
                "https://a",
                "https://a/.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server",
            ),
            (
                "https://a/",
                "https://a/.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server",
            ),
            (
                "https://a/t/v2",
                "https://a/t/v2/.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server/t/v2",
            ),
            (
                "https://a/t/",
                "https://a/t/.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server/t",
            ),
            (
                "https://a/t//",
                "https://a/t//.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server/t/",
            ),
        ] {
            assert_eq!(metadata_urls(issuer), [openid, oauth]);
        }
    }

    #[test]
    fn a_document_must_be_the_issuers_own() {
        let parse = |text: &str| Metadata::parse(text.as_bytes(), "https://a/").map(|_| ());
        assert_eq!(
            parse(r#"{"issuer":"https://a/","jwks_uri":"https://keys.example/k"}"#),
            Ok(())
        );
        let other = DiscoveryError::OtherIssuer {
            found: "https://a".into(),
        };
        assert!(other.to_string().contains(r#""https://a""#));
        assert_eq!(
            parse(r#"{"issuer":"https://a","jwks_uri":"https://a/k"}"#),
            Err(other)
        );
        let insecure = r#"{"issuer":"https://a/","jwks_uri":"http://a/k"}"#;
        assert_eq!(parse(insecure), Err(DiscoveryError::Insecure));
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"issuer":"https://a/"}"#,
            r#"["https://a/","https://a/k"]"#,
            r#"{"issuer":"https://b","issuer":"https://a/","jwks_uri":"https://a/k"}"#,
        ] {
            assert_eq!(parse(text), Err(DiscoveryError::NotADocument));
        }
        let not_utf8 = b"{\"issuer\":\"https://a/\",\"jwks_uri\":\"https://a/k\",\"x\":\"\xff\"}";
        assert_eq!(
            Metadata::parse(not_utf8, "https://a/"),
            Err(DiscoveryError::NotADocument)
        );
    }

    #[test]
    fn a_token_is_sent_to_secure_endpoints_alone() {
        for (endpoint, is_used) in [
            (r#""https://a/me""#, true),
            (r#""http://127.0.0.1:80/me""#, true),
            (r#""http://a/me""#, false),
            (r#""""#, false),
            ("null", false),
            ("7", false),
        ] {
            let text = format!(
                r#"{{"issuer":"https://a","jwks_uri":"https://a/k","userinfo_endpoint":{endpoint}}}"#
            );
            let metadata = Metadata::parse(text.as_bytes(), "https://a").unwrap();
            assert_eq!(metadata.userinfo_endpoint.is_some(), is_used, "{endpoint}");
        }
    }

    #[test]
    fn what_a_foreign_document_says_is_cut_and_escaped() {
        let found = "\\u001b[31m".to_owned() + &"x".repeat(1000);
        let text = format!(r#"{{"issuer":"{found}","jwks_uri":"https://a/k"}}"#);
        let shown = Metadata::parse(text.as_bytes(), "https://a")
            .unwrap_err()
            .to_string();
        assert!(shown.len() < 300, "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
