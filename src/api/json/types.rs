//! How the plain types decode.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    cursor::Kind,
    decode::{Decode, Decoder},
};
use crate::error::Result;

impl Decode for bool {
    fn go_type() -> Cow<'static, str> {
        "bool".into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        match from.kind() {
            Kind::Null => from.skip(),
            Kind::Bool => *self = from.raw() == b"true",
            _ => from.mismatch::<Self>(),
        }
        Ok(())
    }
}

impl Decode for String {
    fn go_type() -> Cow<'static, str> {
        "string".into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        match from.kind() {
            Kind::Null => from.skip(),
            Kind::String => *self = from.string(),
            _ => from.mismatch::<Self>(),
        }
        Ok(())
    }
}

/// Go's `int64` is [`i64`]; its `int` is as wide as the machine's word, so [`isize`].
macro_rules! decode_integer {
    ($rust:ty, $go:literal) => {
        impl Decode for $rust {
            fn go_type() -> Cow<'static, str> {
                $go.into()
            }

            fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
                match from.kind() {
                    Kind::Null => from.skip(),
                    Kind::Number => {
                        let text = String::from_utf8_lossy(from.raw());
                        match text.parse() {
                            Ok(number) => *self = number,
                            Err(_) => from.note(&format!("number {text}"), $go),
                        }
                    }
                    _ => from.mismatch::<Self>(),
                }
                Ok(())
            }
        }
    };
}

decode_integer!(i64, "int64");
decode_integer!(isize, "int");
decode_integer!(u32, "uint32");

/// A Go pointer, or a slice or map of which one must know whether it was there: `None` when the
/// key was absent or `null`.
impl<T: Decode> Decode for Option<T> {
    fn go_type() -> Cow<'static, str> {
        format!("*{}", T::go_type()).into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        if from.kind() == Kind::Null {
            from.skip();
            *self = None;
            return Ok(());
        }
        self.get_or_insert_default().decode(from)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn go_type() -> Cow<'static, str> {
        format!("[]{}", T::go_type()).into()
    }

    /// LXD: a list that comes a second time is decoded over the elements of the first.
    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        match from.kind() {
            Kind::Null => from.skip(),
            Kind::Array => return decode_elements(self, from),
            _ => {
                from.mismatch::<Self>();
                return Ok(());
            }
        }
        self.clear();
        Ok(())
    }
}

fn decode_elements<T: Decode>(list: &mut Vec<T>, from: &mut Decoder<'_>) -> Result<()> {
    from.enter();
    let mut count = 0;
    while from.next_element() {
        if let Some(element) = list.get_mut(count) {
            element.decode(from)?;
        } else {
            let mut element = T::default();
            element.decode(from)?;
            list.push(element);
        }
        count += 1;
    }
    list.truncate(count);
    Ok(())
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn go_type() -> Cow<'static, str> {
        format!("map[string]{}", T::go_type()).into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        match from.kind() {
            Kind::Null => {
                from.skip();
                self.clear();
                Ok(())
            }
            Kind::Object => decode_entries(self, from),
            _ => {
                from.mismatch::<Self>();
                Ok(())
            }
        }
    }
}

/// Adds the members of the next value, an object, to `map`; a key it has is replaced.
pub(super) fn decode_entries<T: Decode>(
    map: &mut BTreeMap<String, T>,
    from: &mut Decoder<'_>,
) -> Result<()> {
    from.enter();
    while let Some(key) = from.next_key() {
        let mut value = T::default();
        value.decode(from)?;
        map.insert(key.into_owned(), value);
    }
    Ok(())
}
