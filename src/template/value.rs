//! What expressions are about: Go's values as far as a template meets them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{failure::Failure, number, text};

/// A value, and whether `autoescape` leaves it alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Value {
    /// The value.
    pub(super) datum: Datum,
    /// Whether it is escaped already.
    pub(super) safe: bool,
}

/// A value of one of Go's kinds.
#[derive(Debug, Clone, Default)]
pub(super) enum Datum {
    /// Nothing.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(Text),
    /// A list.
    List(Arc<[Value]>),
    /// A map with strings as keys.
    Map(Arc<Map>),
    /// `forloop`.
    Loop(Arc<Shared<Loop>>),
    /// What `{% cycle … as name %}` leaves.
    Cycle(Arc<Shared<Cycle>>),
    /// `block`.
    Block,
    /// What is called when it is named.
    Function(Function),
}

/// A string, and whether it is of a type of its own: then it equals no other string.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// Its bytes.
    pub(super) bytes: Arc<[u8]>,
    /// LXD's type of a trigger.
    pub(super) named: bool,
}

/// A map of one of LXD's types.
#[derive(Debug)]
pub(super) struct Map {
    /// The Go type's name, which is what it prints as.
    pub(super) type_name: &'static str,
    /// The entries by key.
    pub(super) entries: BTreeMap<Vec<u8>, Value>,
}

/// Where a loop is.
#[derive(Debug, Default)]
pub(super) struct Loop {
    /// The number of the item, from 1.
    pub(super) counter: i64,
    /// How many are left, this one included.
    pub(super) left: i64,
    /// Whether it is the first.
    pub(super) first: bool,
    /// Whether it is the last.
    pub(super) last: bool,
    /// The loop around it.
    pub(super) parent: Option<Arc<Shared<Self>>>,
}

/// A named cycle: which tag goes on with it, and what it shows.
#[derive(Debug)]
pub(super) struct Cycle {
    /// The tag's number.
    pub(super) tag: usize,
    /// What it shows now.
    pub(super) shown: Value,
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// `config_get(key, default)`.
    ConfigGet,
    /// A macro of the template: its number, and the scope it was defined in.
    Macro(usize, usize),
    /// `block.Super`, which has nothing above it.
    Super,
}

/// A thing that Go holds a pointer to: shared, and changed while others look.
#[derive(Debug, Default)]
pub(super) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    /// Shares a thing.
    pub(super) fn new(thing: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(thing)))
    }

    /// The thing, for a moment.
    pub(super) fn get(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Datum> for Value {
    fn from(datum: Datum) -> Self {
        Self { datum, safe: false }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Datum::Bool(value).into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Datum::Int(value).into()
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Datum::Float(value).into()
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        let bytes = bytes.into();
        Datum::Text(Text {
            bytes,
            named: false,
        })
        .into()
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Datum::List(items.into()).into()
    }
}

impl Value {
    /// Nothing.
    pub(super) fn nil() -> Self {
        Self::default()
    }

    /// A length or a place as a value.
    pub(super) fn size(size: usize) -> Self {
        i64::try_from(size).unwrap_or(i64::MAX).into()
    }

    /// The same value, not to be escaped.
    pub(super) fn escaped(mut self) -> Self {
        self.safe = true;
        self
    }

    /// Whether it is nothing.
    pub(super) fn is_nil(&self) -> bool {
        matches!(self.datum, Datum::Nil)
    }

    /// Whether it is a string.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.datum, Datum::Text(_))
    }

    /// Whether it is a float.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.datum, Datum::Float(_))
    }

    /// Whether it is an integer or a float.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.datum, Datum::Int(_) | Datum::Float(_))
    }

    /// Whether parts can be cut out of it.
    pub(super) fn can_slice(&self) -> bool {
        matches!(self.datum, Datum::Text(_) | Datum::List(_))
    }

    /// As it is printed.
    pub(super) fn text(&self) -> Vec<u8> {
        match &self.datum {
            Datum::Nil => Vec::new(),
            Datum::Bool(true) => b"True".to_vec(),
            Datum::Bool(false) => b"False".to_vec(),
            Datum::Int(value) => value.to_string().into_bytes(),
            Datum::Float(value) => number::print(*value).into_bytes(),
            Datum::Text(text) => text.bytes.to_vec(),
            Datum::Cycle(cycle) => cycle.get().shown.text(),
            other => format!("<{other} Value>").into_bytes(),
        }
    }

    /// As an integer; 0 when it is none.
    pub(super) fn integer(&self) -> i64 {
        match &self.datum {
            Datum::Int(value) => *value,
            Datum::Float(value) => number::integer(*value),
            Datum::Text(text) => number::parse(&text.bytes).map_or(0, number::integer),
            _ => 0,
        }
    }

    /// As a float; 0 when it is none.
    pub(super) fn float(&self) -> f64 {
        match &self.datum {
            Datum::Int(value) => number::float(*value),
            Datum::Float(value) => *value,
            Datum::Text(text) => number::parse(&text.bytes).unwrap_or_default(),
            _ => 0.0,
        }
    }

    /// Whether a condition takes it for true.
    pub(super) fn truth(&self) -> bool {
        match &self.datum {
            Datum::Nil | Datum::Function(_) => false,
            Datum::Bool(value) => *value,
            Datum::Int(value) => *value != 0,
            Datum::Float(value) => *value != 0.0,
            Datum::Text(text) => !text.bytes.is_empty(),
            Datum::List(items) => !items.is_empty(),
            Datum::Map(map) => !map.entries.is_empty(),
            Datum::Loop(_) | Datum::Cycle(_) | Datum::Block => true,
        }
    }

    /// `not`: numbers stay numbers.
    pub(super) fn negated(&self) -> Self {
        match &self.datum {
            Datum::Int(value) => i64::from(*value == 0).into(),
            Datum::Float(value) => if *value == 0.0 { 1.1 } else { 0.0 }.into(),
            _ => (!self.truth()).into(),
        }
    }

    /// How many characters, items or entries it has.
    pub(super) fn length(&self) -> usize {
        match &self.datum {
            Datum::Text(text) => text::count(&text.bytes),
            Datum::List(items) => items.len(),
            Datum::Map(map) => map.entries.len(),
            _ => 0,
        }
    }

    /// Its characters as strings, or its items.
    pub(super) fn items(&self) -> Vec<Self> {
        match &self.datum {
            Datum::Text(text) => text::runes(&text.bytes)
                .map(|rune| Self::from(rune.encode_utf8(&mut [0; 4]).as_bytes()))
                .collect(),
            Datum::List(items) => items.to_vec(),
            _ => Vec::new(),
        }
    }

    /// Whether both are the same to `==`.
    #[expect(clippy::float_cmp, reason = "Go compares like this")]
    pub(super) fn equals(&self, other: &Self) -> Result<bool, Failure> {
        use Datum::{Block, Bool, Cycle, Float, Function, Int, List, Loop, Map, Nil, Text};
        Ok(match (&self.datum, &other.datum) {
            (Nil, Nil) | (Block, Block) => true,
            (Bool(one), Bool(two)) => one == two,
            (Int(one), Int(two)) => one == two,
            (Float(one), Float(two)) => one == two,
            (Text(one), Text(two)) => one.named == two.named && one.bytes == two.bytes,
            (Loop(one), Loop(two)) => Arc::ptr_eq(one, two),
            (Cycle(one), Cycle(two)) => Arc::ptr_eq(one, two),
            (Map(one), Map(two)) if one.type_name == two.type_name => {
                return Err(incomparable(&self.datum));
            }
            (List(_), List(_)) | (Function(_), Function(_)) => {
                return Err(incomparable(&self.datum));
            }
            _ => false,
        })
    }

    /// Whether `other in self`.
    pub(super) fn contains(&self, other: &Self) -> Result<bool, Failure> {
        match &self.datum {
            Datum::Text(text) => Ok(text::contains(&text.bytes, &other.text())),
            Datum::Map(map) => match &other.datum {
                Datum::Text(key) => Ok(!key.named && map.entries.contains_key(&*key.bytes)),
                Datum::Int(_) => Err(Failure::fatal(format!(
                    "An integer is no key of type {}",
                    self.datum
                ))),
                _ => Ok(false),
            },
            Datum::List(items) => {
                for item in items.iter() {
                    if other.equals(item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Datum::Loop(state) => Ok(state.get().field(&other.text()).is_some()),
            _ => Ok(false),
        }
    }
}

/// Go gives up on such a comparison, and LXD with it.
fn incomparable(datum: &Datum) -> Failure {
    Failure::fatal(format!("Values of type {datum} cannot be compared"))
}

impl Loop {
    /// Everything that a template may read of it, in the order in which Go has it.
    pub(super) fn fields(&self) -> Vec<Value> {
        let names: [&[u8]; 7] = [
            b"Counter",
            b"Counter0",
            b"Revcounter",
            b"Revcounter0",
            b"First",
            b"Last",
            b"Parentloop",
        ];
        names.iter().filter_map(|name| self.field(name)).collect()
    }

    /// What a template reads of it.
    pub(super) fn field(&self, name: &[u8]) -> Option<Value> {
        Some(match name {
            b"Counter" => self.counter.into(),
            b"Counter0" => (self.counter - 1).max(0).into(),
            b"Revcounter" => self.left.into(),
            b"Revcounter0" => (self.left - 1).max(0).into(),
            b"First" => self.first.into(),
            b"Last" => self.last.into(),
            b"Parentloop" => match &self.parent {
                Some(parent) => Datum::Loop(Arc::clone(parent)).into(),
                None => Value::nil(),
            },
            _ => return None,
        })
    }
}

impl Datum {
    /// Go's word for what it is.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Loop(_) | Self::Cycle(_) => "ptr",
            Self::Block => "struct",
            Self::Function(_) => "func",
        }
    }
}

impl fmt::Display for Datum {
    /// The name of its type in Go.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) if text.named => "instance.TemplateTrigger",
            Self::List(_) => "[]string",
            Self::Map(map) => map.type_name,
            Self::Loop(_) => "pongo2.tagForLoopInformation",
            Self::Cycle(_) => "pongo2.tagCycleValue",
            Self::Block => "pongo2.tagBlockInformation",
            Self::Function(_) => "func(*pongo2.Value, *pongo2.Value) *pongo2.Value",
            other => other.kind(),
        })
    }
}
