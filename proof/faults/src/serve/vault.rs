//! A room with an owner. The owner writes and reads its storage over HTTP.

use agents_oauth2_jwt_bearer::{AuthContext, Overwrite, OwnerError, RoomOwnership};
use http::{Method, StatusCode};
use partyserver::{
    Context, Request, RequestGate, Response, Result, Server, SqlError, StorageError, answer,
};

/// `POST …/claim` makes the caller the owner. `PUT …?key=K&value=V` writes, and answers
/// when the write is durable. `GET …?key=K` reads. With `sql`, both use the room's SQL
/// database.
pub(super) struct Vault;

impl Server for Vault {
    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let of = |name: &str| {
            let mut pairs = form_urlencoded::parse(query);
            let found = pairs.find(|(own, _)| own == name);
            found.map(|(_, value)| value.into_owned())
        };
        let (key, value) = (of("key").unwrap_or_default(), of("value"));
        let outcome = match (value, of("sql")) {
            (Some(value), None) => write(cx, &key, value).await,
            (Some(value), Some(_)) => write_sql(cx, key, value).await,
            (None, None) => read(cx, &key).await,
            (None, Some(_)) => read_sql(cx, key).await,
        };
        Ok(match outcome {
            Ok(Some(value)) => answer::text(StatusCode::OK, value),
            Ok(None) => answer::text(StatusCode::NOT_FOUND, "There is no such key."),
            Err(error @ StorageError::Full) => {
                answer::text(StatusCode::INSUFFICIENT_STORAGE, error.to_string())
            }
            Err(error) => return Err(error.into()),
        })
    }

    async fn on_authenticated_request(
        &mut self,
        cx: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        if request.method() != Method::POST {
            return Ok(RequestGate::Admit(request));
        }
        let subject = cx.claims()?.subject().to_owned();
        let claimed = cx.room().set_owner(&subject, Overwrite::No).await;
        Ok(RequestGate::Answer(match claimed {
            Ok(()) => answer::text(StatusCode::OK, subject),
            Err(OwnerError::AlreadyOwned) => answer::text(StatusCode::CONFLICT, "It has an owner."),
            // The store's own text, so that a test can distinguish a full disk from
            // other problems.
            Err(error) => answer::text(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
        }))
    }
}

type Outcome = Result<Option<String>, StorageError>;

async fn write(cx: &Context, key: &str, value: String) -> Outcome {
    cx.room().storage().put(key, &value).await?;
    Ok(Some(value))
}

async fn read(cx: &Context, key: &str) -> Outcome {
    cx.room().storage().get(key).await
}

async fn write_sql(cx: &Context, key: String, value: String) -> Outcome {
    let sql = cx.room().sql();
    let table = "CREATE TABLE IF NOT EXISTS pairs (key PRIMARY KEY, value)";
    sql.execute(table, vec![]).await.map_err(storage)?;
    let insert = "INSERT OR REPLACE INTO pairs VALUES (?1, ?2)";
    let pair = vec![key.into(), value.clone().into()];
    sql.execute(insert, pair).await.map_err(storage)?;
    Ok(Some(value))
}

async fn read_sql(cx: &Context, key: String) -> Outcome {
    let select = "SELECT value FROM pairs WHERE key = ?1";
    let found = cx.room().sql().execute(select, vec![key.into()]).await;
    let found = found
        .map_err(storage)?
        .rows
        .pop()
        .and_then(|mut row| row.pop());
    Ok(match found {
        Some(partyserver::SqlValue::Text(value)) => Some(value),
        _ => None,
    })
}

fn storage(error: SqlError) -> StorageError {
    match error {
        SqlError::Storage(error) => error,
        error => StorageError::Unavailable(error.to_string()),
    }
}
