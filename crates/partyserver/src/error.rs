//! The error of a hook.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::body::BodyError;

/// The result of a hook.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of a hook. `?` turns every error type into it.
///
/// A client never sees its text. The host answers 500 (1011 on a socket) with
/// an id, and logs the text beside the same id. The one exception is a request
/// body that broke a limit: it is answered by [`Error::status`].
///
/// It does not implement [`std::error::Error`] itself: that is what makes the
/// conversion from every error type possible.
pub struct Error(Box<dyn StdError + Send + Sync>);

impl Error {
    /// An error from a text.
    pub fn msg(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The HTTP status that a failed request is answered with: the body's own
    /// (413 or 400) for a [`BodyError`], 500 for everything else.
    pub fn status(&self) -> StatusCode {
        self.downcast_ref::<BodyError>()
            .map_or(StatusCode::INTERNAL_SERVER_ERROR, BodyError::status)
    }

    /// The error as the type it was made from.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
