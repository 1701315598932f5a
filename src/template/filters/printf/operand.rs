//! Writes one operand as one verb asks for.

use crate::template::{
    text,
    value::{Datum, Map, Value},
};

use super::{Flags, number, quote};

/// The operand as this verb writes it.
pub(super) fn print(value: &Value, verb: char, flags: Flags) -> Vec<u8> {
    if verb == 'T' {
        return flags.pad(type_name(value).as_bytes());
    }
    let written = match &value.datum {
        Datum::Nil if verb == 'v' => Some(flags.pad(b"<nil>")),
        Datum::Bool(value) if matches!(verb, 't' | 'v') => {
            Some(flags.pad(value.to_string().as_bytes()))
        }
        Datum::Int(value) => number::integer(*value, verb, flags),
        Datum::Float(value) => number::float(*value, verb, flags),
        Datum::Text(text) => string(&text.bytes, verb, flags),
        Datum::List(items) => return list(items, verb, flags),
        Datum::Map(map) => return entries(map, verb, flags),
        Datum::Loop(state) => return structure(&state.get().fields(), verb, flags),
        Datum::Nil | Datum::Bool(_) | Datum::Cycle(_) | Datum::Block | Datum::Function(_) => None,
    };
    written.unwrap_or_else(|| unfit(value, verb, flags))
}

/// How many values are written by themselves, each with its padding.
pub(super) fn leaves(value: &Value) -> usize {
    match &value.datum {
        Datum::List(items) => items.iter().map(leaves).sum(),
        Datum::Map(map) => map.entries.values().map(|value| 1 + leaves(value)).sum(),
        Datum::Loop(state) => state.get().fields().iter().map(leaves).sum(),
        _ => 1,
    }
}

/// The operand with its type: `string=abc`.
pub(super) fn typed(value: &Value) -> Vec<u8> {
    typed_as(value, Flags::default())
}

fn typed_as(value: &Value, flags: Flags) -> Vec<u8> {
    if value.is_nil() {
        return b"<nil>".to_vec();
    }
    let name = format!("{}=", value.datum).into_bytes();
    [name, print(value, 'v', flags)].concat()
}

/// A verb that does not go with the operand.
fn unfit(value: &Value, verb: char, flags: Flags) -> Vec<u8> {
    let known = !matches!(
        value.datum,
        Datum::Cycle(_) | Datum::Block | Datum::Function(_)
    );
    let inside = if known {
        typed_as(value, flags)
    } else {
        value.datum.to_string().into()
    };
    [format!("%!{verb}(").as_bytes(), &inside, b")"].concat()
}

fn type_name(value: &Value) -> String {
    match &value.datum {
        Datum::Nil => "<nil>".to_owned(),
        Datum::Loop(_) | Datum::Cycle(_) => format!("*{}", value.datum),
        datum => datum.to_string(),
    }
}

fn string(bytes: &[u8], verb: char, flags: Flags) -> Option<Vec<u8>> {
    Some(match verb {
        'v' if flags.sharp => flags.pad(&quote::string(
            bytes,
            Flags {
                sharp: false,
                ..flags
            },
        )),
        'v' | 's' => flags.pad(&truncated(bytes, flags)),
        'q' => flags.pad(&quote::string(&truncated(bytes, flags), flags)),
        'x' => flags.pad(&hexadecimal(bytes, flags, "0x", |byte| {
            format!("{byte:02x}")
        })),
        'X' => flags.pad(&hexadecimal(bytes, flags, "0X", |byte| {
            format!("{byte:02X}")
        })),
        _ => return None,
    })
}

/// As many characters as the precision says.
fn truncated(bytes: &[u8], flags: Flags) -> Vec<u8> {
    match flags.precision {
        Some(length) => text::pieces(bytes)
            .take(length)
            .collect::<Vec<_>>()
            .concat(),
        None => bytes.to_vec(),
    }
}

fn hexadecimal(bytes: &[u8], flags: Flags, prefix: &str, digits: fn(u8) -> String) -> Vec<u8> {
    let length = flags.precision.unwrap_or(usize::MAX);
    let mut written = String::new();
    for (at, byte) in bytes.iter().take(length).enumerate() {
        if flags.space && at > 0 {
            written.push(' ');
        }
        if flags.sharp && (at == 0 || flags.space) {
            written.push_str(prefix);
        }
        written.push_str(&digits(*byte));
    }
    written.into_bytes()
}

/// Every item by itself.
fn list(items: &[Value], verb: char, flags: Flags) -> Vec<u8> {
    let printed = items.iter().map(|item| print(item, verb, flags));
    let printed = printed.collect::<Vec<_>>();
    if verb == 'v' && flags.sharp {
        return [b"[]string{".as_slice(), &printed.join(&b", "[..]), b"}"].concat();
    }
    [b"[".as_slice(), &printed.join(&b' '), b"]"].concat()
}

/// Keys and values by themselves, in order.
fn entries(map: &Map, verb: char, flags: Flags) -> Vec<u8> {
    let printed = map.entries.iter().map(|(key, value)| {
        let key = print(&key.as_slice().into(), verb, flags);
        [key, print(value, verb, flags)].join(&b':')
    });
    let printed = printed.collect::<Vec<_>>();
    if verb == 'v' && flags.sharp {
        let name = map.type_name.as_bytes();
        return [name, b"{", &printed.join(&b", "[..]), b"}"].concat();
    }
    [b"map[".as_slice(), &printed.join(&b' '), b"]"].concat()
}

fn structure(fields: &[Value], verb: char, flags: Flags) -> Vec<u8> {
    let printed = fields.iter().map(|field| match verb {
        'd' if field.is_nil() => b"0".to_vec(),
        _ => print(field, verb, flags),
    });
    [
        b"&{".as_slice(),
        &printed.collect::<Vec<_>>().join(&b' '),
        b"}",
    ]
    .concat()
}
