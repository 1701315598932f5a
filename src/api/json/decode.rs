//! Filling Rust values from JSON, with the rules and the error texts of Go's `encoding/json`.
//!
//! A body is checked as a whole first. Then it is decoded straight into its request struct: what
//! the struct has no field for is stepped over and takes no memory. A value of the wrong type is
//! noted (the first one only), and decoding goes on with the rest; only a bad date ends it at once.

use std::borrow::Cow;

use super::{
    cursor::{Cursor, Kind},
    scan::{self, SyntaxError},
};
use crate::error::{Error, Result};

/// A type that JSON can be decoded into.
///
/// Its default is Go's zero value, which `null` and absence leave in place.
pub(crate) trait Decode: Default {
    /// What Go calls the type, as error texts show it: `[]string`, `api.ImagePut`.
    fn go_type() -> Cow<'static, str>;

    /// Consumes exactly one value of `from` and puts it over `self`.
    ///
    /// # Errors
    ///
    /// Only what ends the decoding at once. A value of the wrong type goes to
    /// [`Decoder::mismatch`] instead.
    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()>;
}

/// Decodes the first JSON value of a request body; what follows it is ignored.
///
/// `body` is as large as its reader let it become: decoded, it takes up to some 30 times that.
///
/// # Errors
///
/// 400 with Go's text: a syntax error, else a bad date, else the first value of a wrong type.
pub(crate) fn decode<T: Decode>(body: &[u8]) -> Result<T> {
    let mut value = T::default();
    decode_into(&mut value, body)?;
    Ok(value)
}

/// Like [`decode`], over what `value` already holds: keys the body lacks stay as they are, and
/// maps are merged. After an error `value` holds what could be decoded.
///
/// # Errors
///
/// See [`decode`].
pub(crate) fn decode_into<T: Decode>(value: &mut T, body: &[u8]) -> Result<()> {
    let end = scan::check_first_value(body).map_err(|error| match error {
        SyntaxError::Empty => Error::bad_request("EOF"),
        SyntaxError::Cut => Error::bad_request("unexpected EOF"),
        SyntaxError::Invalid(text) => Error::bad_request(text),
    })?;
    decode_checked(value, body.get(..end).unwrap_or_default())
}

fn decode_checked<T: Decode>(value: &mut T, checked: &[u8]) -> Result<()> {
    let mut decoder = Decoder {
        cursor: Cursor::new(checked),
        path: Vec::new(),
        holder: None,
        mismatch: None,
    };
    value.decode(&mut decoder)?;
    decoder
        .mismatch
        .map_or(Ok(()), |text| Err(Error::bad_request(text)))
}

/// Where decoding stands: the next value, the fields that lead to it, and the first mismatch.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    cursor: Cursor<'a>,
    /// The JSON names of the struct fields around the next value, outermost first.
    path: Vec<&'static str>,
    /// The innermost struct around the next value.
    holder: Option<&'static str>,
    /// The text of the first mismatch.
    mismatch: Option<String>,
}

impl<'a> Decoder<'a> {
    /// What sort of value comes next.
    pub(crate) fn kind(&mut self) -> Kind {
        self.cursor.kind()
    }

    /// Steps over the next value and returns its bytes as the client wrote them.
    pub(crate) fn raw(&mut self) -> &'a [u8] {
        self.cursor.value()
    }

    /// Steps over the next value.
    pub(crate) fn skip(&mut self) {
        self.cursor.value();
    }

    /// The next value, which is a string.
    pub(crate) fn string(&mut self) -> String {
        self.cursor.string().into_owned()
    }

    /// Steps into the next value, which is an array or an object.
    pub(crate) fn enter(&mut self) {
        self.cursor.enter();
    }

    /// Steps to the next element of the array entered last, or out of it.
    pub(crate) fn next_element(&mut self) -> bool {
        self.cursor.next_element()
    }

    /// Steps to the next member of the object entered last, or out of it.
    pub(crate) fn next_key(&mut self) -> Option<Cow<'a, str>> {
        self.cursor.next_key()
    }

    /// Decodes the next value as the field `name` of the struct `holder`.
    ///
    /// # Errors
    ///
    /// What `decode` returns.
    pub(super) fn field(
        &mut self,
        holder: &'static str,
        name: &'static str,
        decode: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let outer = self.holder.replace(holder);
        self.path.push(name);
        decode(self)?;
        self.path.pop();
        self.holder = outer;
        Ok(())
    }

    /// Steps over the next value and notes that it is no `T`.
    pub(crate) fn mismatch<T: Decode>(&mut self) {
        let kind = self.kind().name();
        self.skip();
        self.note(kind, &T::go_type());
    }

    /// Notes that a `value` was met where a `go_type` belongs, unless something was noted before.
    pub(crate) fn note(&mut self, value: &str, go_type: &str) {
        if self.mismatch.is_some() {
            return;
        }
        let place = match self.holder {
            Some(holder) => format!("struct field {holder}.{}", self.path.join(".")),
            None => "value".to_owned(),
        };
        self.mismatch = Some(format!(
            "json: cannot unmarshal {value} into Go {place} of type {go_type}"
        ));
    }
}
