//! Verifying a token that was never seen before, compared with checking its signature
//! alone.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local_issuer::Algorithm;
use oauth2_jwt_bearer::{AccessToken, Policy, Verifier};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::AUDIENCE;
use super::contenders::Contenders;
use super::report::{Comparison, Section, Series};
use super::turns::Pace;
use crate::Result;

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let count = pace.size(1_000, 100);
    let mut comparisons = Vec::new();
    for (algorithm, asked) in [
        (Algorithm::Rs256, Some(1.15)),
        (Algorithm::Ps256, None),
        (Algorithm::Es256, None),
        (Algorithm::EdDsa, None),
    ] {
        let tokens = tokens(contenders, algorithm, count)?;
        let bare = Bare::new(contenders, algorithm, &tokens).await?;
        let (mut new, mut hot, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        // The first round fills the processor's caches and fetches the keys.
        for round in 0..=pace.rounds {
            // The cache is smaller than the number of tokens. So, as in a server that
            // has run for a while, each new token takes the place and the memory of
            // another.
            let full = verifier(contenders, count / 8)?;
            let warm = verifier(contenders, 2 * count)?;
            full.verify(&tokens[0]).await?;
            for token in &tokens {
                warm.verify(token).await?;
            }
            let figures = [
                per_token(&tokens[1..], |token| verify(&full, token))?,
                bare.per_token()?,
                per_token(&tokens[1..], |token| verify(&warm, token))?,
            ];
            if round > 0 {
                for (all, figure) in [&mut new, &mut alone, &mut hot].into_iter().zip(figures) {
                    all.push(figure);
                }
            }
        }
        comparisons.push(
            Comparison::of(
                format!("{}, new token", algorithm.name()),
                Series::without_rates("`Verifier::verify`", new),
            )
            .beside(
                Series::without_rates("aws-lc-rs, signature alone, key parsed", alone),
                asked,
            )
            .beside(Series::without_rates("`verify` of a hot token", hot), None),
        );
    }
    Ok(Section {
        title: "Tokens",
        cost: "CPU µs each",
        note: format!(
            "In process, on one thread: {count} tokens of {} bytes (RS256), more than the cache\n\
             holds. What stands beside has the signature decoded and the key parsed already, and reads no claim.",
            contenders.token.len()
        ),
        comparisons,
    })
}

fn tokens(contenders: &Contenders, algorithm: Algorithm, count: usize) -> Result<Vec<AccessToken>> {
    let sign = |_| {
        let token = contenders.issuer.token().scope("openid profile rooms");
        AccessToken::new(token.algorithm(algorithm).sign())
    };
    let tokens: std::result::Result<_, _> = (0..=count).map(sign).collect();
    Ok(tokens?)
}

/// A verifier that has seen no token. Keys are shared by all verifiers of one issuer.
fn verifier(contenders: &Contenders, cached_tokens: usize) -> Result<Verifier> {
    let policy = Policy::new(contenders.issuer.url(), AUDIENCE)?;
    let builder = Verifier::builder(policy).cached_tokens(cached_tokens);
    Ok(builder.build()?)
}

/// The keys are held already, so there is nothing to wait for.
fn verify(verifier: &Verifier, token: &AccessToken) -> Result<()> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(verifier.verify(token)).poll(&mut cx) {
        Poll::Ready(outcome) => Ok(outcome.map(|_| ())?),
        Poll::Pending => Err("a token waited for keys that are there".into()),
    }
}

/// A parsed key, signed bytes and signatures.
struct Bare {
    key: ParsedPublicKey,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Bare {
    async fn new(
        contenders: &Contenders,
        algorithm: Algorithm,
        tokens: &[AccessToken],
    ) -> Result<Self> {
        let parts = tokens.iter().map(|token| {
            let (signed, signature) = token.expose().rsplit_once('.').ok_or("not a token")?;
            Ok((signed.into(), URL_SAFE_NO_PAD.decode(signature)?))
        });
        let signed = parts.collect::<Result<Vec<_>>>()?;
        let jwk = jwk(contenders, algorithm).await?;
        let member = |name: &str| {
            let text = jwk[name].as_str().unwrap_or_default();
            URL_SAFE_NO_PAD.decode(text)
        };
        let key = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let (n, e) = (member("n")?, member("e")?);
                let parameters = if algorithm == Algorithm::Rs256 {
                    &RSA_PKCS1_2048_8192_SHA256
                } else {
                    &RSA_PSS_2048_8192_SHA256
                };
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters)?
            }
            Algorithm::Es256 => {
                let point = [vec![4], member("x")?, member("y")?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)?
            }
            Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, member("x")?)?,
        };
        Ok(Self { key, signed })
    }

    fn per_token(&self) -> Result<f64> {
        per_token(&self.signed[1..], |(signed, signature)| {
            Ok(self.key.verify_sig(signed, signature)?)
        })
    }
}

/// The published key that signs with an algorithm.
async fn jwk(contenders: &Contenders, algorithm: Algorithm) -> Result<Value> {
    let kty = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => "RSA",
        Algorithm::Es256 => "EC",
        Algorithm::EdDsa => "OKP",
    };
    let keys = contenders.key_set().await?;
    let keys = keys["keys"].as_array().cloned().unwrap_or_default();
    let key = keys.into_iter().find(|key| key["kty"] == kty);
    key.ok_or_else(|| "the issuer has no such key".into())
}

/// The CPU time of this thread for each token, in microseconds.
fn per_token<T>(tokens: &[T], mut check: impl FnMut(&T) -> Result<()>) -> Result<f64> {
    let before = thread_time();
    for token in tokens {
        check(token)?;
    }
    let used = thread_time().saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / tokens.len() as f64)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
