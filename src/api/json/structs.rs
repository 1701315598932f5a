//! Request structs: one declaration gives the Rust type, its JSON keys and its Go names.

use super::{
    cursor::Kind,
    decode::{Decode, Decoder},
};
use crate::error::Result;

/// Declares a struct that decodes as a Go struct does.
///
/// ```text
/// go_struct! {
///     /// `POST /1.0/images`.
///     pub(crate) struct api.ImagesPost embeds put: ImagePut {
///         /// The name the file is to be shown under.
///         filename: String,
///         /// What to do.
///         kind as "type": String,
///     }
/// }
/// ```
///
/// The word before the dot is the Go package, shown only for the type as a whole. A field's key is
/// its name unless `as` gives another. The fields of an embedded struct are decoded as if they
/// were the struct's own. `Debug` tells the type only, for bodies hold passwords and secrets.
macro_rules! go_struct {
    (
        $(#[$meta:meta])*
        $vis:vis struct $package:ident . $name:ident $(embeds $base:ident : $base_type:ty)? {
            $($(#[$field_meta:meta])* $field:ident $(as $key:literal)? : $type:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Default)]
        $vis struct $name {
            $(
                #[doc = concat!("The fields of the embedded `", stringify!($base_type), "`.")]
                $vis $base: $base_type,
            )?
            $($(#[$field_meta])* $vis $field: $type,)*
        }

        impl $crate::api::json::Fields for $name {
            const NAME: &'static str = stringify!($name);

            fn find_key(is_wanted: &dyn Fn(&str) -> bool) -> Option<&'static str> {
                $(
                    let key = $crate::api::json::go_key!($field $($key)?);
                    if is_wanted(key) {
                        return Some(key);
                    }
                )*
                $(
                    let inherited = <$base_type as $crate::api::json::Fields>::find_key(is_wanted);
                    if inherited.is_some() {
                        return inherited;
                    }
                )?
                None
            }

            fn decode_field(
                &mut self,
                key: &'static str,
                from: &mut $crate::api::json::Decoder<'_>,
            ) -> $crate::error::Result<()> {
                $(
                    if key == $crate::api::json::go_key!($field $($key)?) {
                        return $crate::api::json::Decode::decode(&mut self.$field, from);
                    }
                )*
                $(
                    let of_base = <$base_type as $crate::api::json::Fields>::find_key(&|k| k == key);
                    if of_base.is_some() {
                        return $crate::api::json::Fields::decode_field(&mut self.$base, key, from);
                    }
                )?
                from.skip();
                Ok(())
            }
        }

        impl $crate::api::json::Decode for $name {
            fn go_type() -> std::borrow::Cow<'static, str> {
                concat!(stringify!($package), ".", stringify!($name)).into()
            }

            fn decode(
                &mut self,
                from: &mut $crate::api::json::Decoder<'_>,
            ) -> $crate::error::Result<()> {
                $crate::api::json::decode_fields(self, from)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

/// The JSON key of a field in [`go_struct`].
macro_rules! go_key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

pub(crate) use {go_key, go_struct};

/// What [`go_struct`] says of a struct's fields.
pub(crate) trait Fields: Decode {
    /// Go's name of the struct, without its package.
    const NAME: &'static str;

    /// The first of the struct's keys that `is_wanted` accepts.
    fn find_key(is_wanted: &dyn Fn(&str) -> bool) -> Option<&'static str>;

    /// Decodes the next value as the field with this key, one that `find_key` gave.
    ///
    /// # Errors
    ///
    /// See [`Decode::decode`].
    fn decode_field(&mut self, key: &'static str, from: &mut Decoder<'_>) -> Result<()>;
}

/// [`Decode::decode`] of every [`go_struct`].
///
/// # Errors
///
/// See [`Decode::decode`].
pub(crate) fn decode_fields<T: Fields>(value: &mut T, from: &mut Decoder<'_>) -> Result<()> {
    match from.kind() {
        Kind::Object => from.enter(),
        Kind::Null => {
            from.skip();
            return Ok(());
        }
        _ => {
            from.mismatch::<T>();
            return Ok(());
        }
    }
    while let Some(sent) = from.next_key() {
        let exact = T::find_key(&|key| key == sent);
        match exact.or_else(|| T::find_key(&|key| equal_fold(key, &sent))) {
            Some(key) => from.field(T::NAME, key, |from| value.decode_field(key, from))?,
            None => from.skip(),
        }
    }
    Ok(())
}

/// Whether two keys are the same but for case.
///
/// LXD: Go folds `ſ` to `s` and the Kelvin sign to `k` here, and nothing else beyond ASCII.
fn equal_fold(key: &str, sent: &str) -> bool {
    let folded = sent.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    key.chars()
        .map(|character| character.to_ascii_lowercase())
        .eq(folded)
}
