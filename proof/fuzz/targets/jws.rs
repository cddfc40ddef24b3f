//! A token, from its text to claims: everything but the signature.
//!
//! The input is a token. If it begins with a brace, it must first be encoded: its lines
//! are header, payload and signature.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::{Corpus, fuzz_target};
use oauth2_jwt_bearer::jws::Jws;
use oauth2_jwt_bearer::{
    AccessToken, Audience, Claims, Error, Invalid, Policy, Profile, SignatureValid, TokenMark,
    UnverifiedToken,
};
use serde_json::{Map, Value};

fuzz_target!(|input: &str| -> Corpus {
    let text = if input.starts_with('{') {
        encoded(input)
    } else {
        input.to_owned()
    };
    check_structure(&text);
    let Ok(token) = AccessToken::new(text) else {
        return Corpus::Reject;
    };
    let accepted = POLICIES
        .each_ref()
        .map(|policy| check_policy(&token, policy));
    // A looser policy accepts everything that a stricter one accepts.
    let [interoperable, rfc9068, unmarked, _] = accepted;
    assert!(!rfc9068 || interoperable);
    assert!(!interoperable || unmarked);
    Corpus::Keep
});

fn encoded(lines: &str) -> String {
    let parts: Vec<_> = lines
        .splitn(3, '\n')
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .collect();
    parts.join(".")
}

/// An accepted token has only one spelling, and its header demands nothing that is not
/// understood.
fn check_structure(token: &str) {
    let Ok(jws) = Jws::parse(token) else { return };
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("a token has three parts");
    };
    let raw_header = URL_SAFE_NO_PAD.decode(header).expect("it was decoded");
    assert_eq!(URL_SAFE_NO_PAD.encode(&raw_header), header);
    assert_eq!(URL_SAFE_NO_PAD.encode(jws.payload()), payload);
    assert_eq!(URL_SAFE_NO_PAD.encode(jws.signature()), signature);
    assert_eq!(
        jws.signing_input(),
        format!("{header}.{payload}").as_bytes()
    );

    let said = object(&raw_header);
    assert!(!said.contains_key("crit") && !said.contains_key("b64"));
    let algorithm = said["alg"].as_str().expect("`alg` is a text");
    assert!(algorithm == jws.header().algorithm().name() || algorithm == "Ed25519");
    assert!(algorithm != "none" && !algorithm.starts_with("HS"));
    let text = |name| {
        said.get(name)
            .map(|value: &Value| value.as_str().expect("a text"))
    };
    assert_eq!(jws.header().key_id(), text("kid"));
    let token_type = text("typ").map(str::to_ascii_lowercase);
    assert_eq!(jws.header().token_type(), token_type.as_deref());
}

/// A token that a policy accepts follows the policy's rules, at any time. Returns
/// whether it is accepted.
fn check_policy(token: &AccessToken, policy: &Policy) -> bool {
    let parse = || UnverifiedToken::parse(token, policy);
    let unverified = match parse() {
        Ok(unverified) => unverified,
        Err(Error::Invalid(cause)) => {
            assert_ne!(cause, Invalid::Signature);
            return false;
        }
        Err(other) => panic!("{other:?} is not said before the signature"),
    };
    let token_type = unverified.header().token_type().map(str::to_owned);
    let jws = Jws::parse(token.expose()).expect("it was parsed");
    let claims = object(jws.payload());
    check_claims(policy, token_type.as_deref(), &claims);

    let exp = claims["exp"].as_f64().expect("`exp` is a number");
    let nbf = claims.get("nbf").map(|nbf| nbf.as_f64().expect("a number"));
    let around = [exp, nbf.unwrap_or(exp)].map(|time| time.clamp(0.0, END));
    for now in [0.0, 1.7e9, END, around[0], around[0] + 60.0, around[1]] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(now);
        let again = parse().expect("it was accepted");
        match again.verified(SignatureValid::assertion(), now) {
            Ok(verified) => {
                assert!(verified.is_valid_at(now) && now < verified.valid_until());
                assert!(!verified.is_valid_at(verified.valid_until()));
                assert!(seconds(verified.valid_until()) <= exp.clamp(0.0, END) + LEEWAY + 1.0);
                assert!(nbf.is_none_or(|nbf| nbf.clamp(0.0, END) <= seconds(now) + LEEWAY + 1.0));
                assert_eq!(verified.subject(), claims["sub"]);
                check_accessors(verified.claims());
            }
            Err(Error::Expired) => {
                assert!(exp.clamp(0.0, END) + LEEWAY <= seconds(now) + 1.0);
            }
            Err(Error::Invalid(Invalid::NotYetValid)) => {
                assert!(nbf.is_some_and(|nbf| nbf + 1.0 > seconds(now) + LEEWAY));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    true
}

/// The rules, checked on the payload a second time.
fn check_claims(policy: &Policy, token_type: Option<&str>, claims: &Map<String, Value>) {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    assert_eq!(text("iss"), Some(ISSUER));
    assert!(text("sub").is_some_and(|subject| !subject.is_empty()));
    assert!(claims.get("iat").is_none_or(Value::is_number));
    assert!(!claims.contains_key("cnf"));
    let audience = claims.get("aud");
    if *policy == POLICIES[3] {
        assert_eq!(audience, None);
        assert_eq!(text("client_id").or(text("azp")), Some("app"));
    } else {
        let is_ours = |value: &Value| match value {
            Value::Array(many) => {
                many.contains(&AUDIENCE.into()) && many.iter().all(Value::is_string)
            }
            one => one == AUDIENCE,
        };
        assert!(audience.is_some_and(is_ours));
    }
    let is_access_token = matches!(token_type, Some("at+jwt" | "application/at+jwt"));
    if *policy == POLICIES[1] {
        assert!(is_access_token);
    }
    if !is_access_token {
        assert!(matches!(token_type, None | Some("jwt")));
        for name in ["at_hash", "c_hash", "s_hash", "events"] {
            assert!(!claims.contains_key(name), "{name}");
        }
        let is = |name: &str, value: &str| claims.get(name).is_none_or(|own| own == value);
        assert!(is("token_use", "access"));
        assert!(is("typ", "Bearer") || is("typ", "JWT"));
    }
}

/// Claims of any shape can be read.
fn check_accessors(claims: &Claims) {
    let scopes = claims.scopes();
    assert!(
        scopes
            .iter()
            .all(|scope| !scope.is_empty() && !scope.contains(' '))
    );
    assert!(claims.has_scopes(&scopes.into_iter().collect::<Vec<_>>()));
    assert!(!claims.has_scopes(&["a scope that cannot be"]));
    let _ = (claims.actor(), claims.client_id(), claims.token_id());
    assert!(claims.issued_at().is_none_or(|time| seconds(time) <= END));
    let copy: Map<String, Value> = claims.claims_as().expect("claims are an object");
    assert_eq!(copy.len(), claims.as_map().len());
    assert!(!format!("{claims:?}").contains("never shown"));
}

fn object(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).expect("it was parsed as an object")
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .expect("no time is before 1970")
        .as_secs_f64()
}

/// Interoperable, RFC 9068, without a mark, and without an audience.
static POLICIES: LazyLock<[Policy; 4]> = LazyLock::new(|| {
    let policy = || Policy::new(ISSUER, AUDIENCE).expect("the policy is right");
    let client = Policy::new(ISSUER, Audience::Client(vec!["app".to_owned()]));
    [
        policy(),
        policy()
            .profile(Profile::Rfc9068)
            .expect("it goes with an audience"),
        policy().token_mark(TokenMark::NotRequired),
        client.expect("the policy is right"),
    ]
});

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "api";
/// The default of a policy, in seconds.
const LEEWAY: f64 = 5.0;
/// The end of the year 9999.
const END: f64 = 253_402_300_799.0;
