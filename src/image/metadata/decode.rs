//! From the tree to the fields, collecting errors as the Go library in LXD does.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    MetadataFile, Template,
    scalar::{Scalar, resolve, short},
    tree::{Node, NodeId, Tree, Value},
};

/// How many values are looked at in all; anchors can make one stand for many.
const MAX_VISITS: usize = 100_000;

/// The longest value that an error shows whole, in bytes.
const SHOWN_BYTES: usize = 10;

/// Go's names of the types.
const METADATA: &str = "api.ImageMetadata";
const TEMPLATE: &str = "api.ImageMetadataTemplate";
const TEMPLATES: &str = "map[string]*api.ImageMetadataTemplate";
const STRINGS: &str = "map[string]string";

/// Reads the fields of the first document.
pub(super) fn document(bytes: &[u8]) -> Result<MetadataFile, String> {
    let tree = Tree::parse(bytes)?;
    let mut decoder = Decoder {
        tree: &tree,
        visits: 0,
        errors: Vec::new(),
    };
    let mut raw = MetadataFile::default();
    decoder.metadata(tree.root, &mut raw)?;
    if decoder.errors.is_empty() {
        return Ok(raw);
    }
    Err(format!(
        "yaml: unmarshal errors:\n  {}",
        decoder.errors.join("\n  ")
    ))
}

struct Decoder<'t> {
    tree: &'t Tree,
    visits: usize,
    /// Wrong types: each is noted, and decoding goes on.
    errors: Vec<String>,
}

type Pairs<'t> = &'t [(NodeId, NodeId)];

impl<'t> Decoder<'t> {
    fn visit(&mut self, id: NodeId) -> Result<&'t Node, String> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err("yaml: document contains excessive aliasing".to_owned());
        }
        self.tree
            .node(id)
            .ok_or_else(|| "yaml: unknown problem parsing YAML content".to_owned())
    }

    fn metadata(&mut self, id: NodeId, raw: &mut MetadataFile) -> Result<(), String> {
        let node = self.visit(id)?;
        let Some(pairs) = self.pairs(node, METADATA)? else {
            return Ok(());
        };
        for (key, value) in pairs {
            match self.key(*key)? {
                Key::Merge => self.merge(*value, &mut |this, id| this.metadata(id, raw))?,
                Key::Name(name) => match name.as_str() {
                    "architecture" => self.text(*value, &mut raw.architecture)?,
                    "creation_date" => self.integer(*value, &mut raw.creation_date)?,
                    "expiry_date" => self.integer(*value, &mut raw.expiry_date)?,
                    "properties" => self.optional(*value, &mut raw.properties, Self::strings)?,
                    "templates" => self.optional(*value, &mut raw.templates, Self::templates)?,
                    _ => {}
                },
            }
        }
        Ok(())
    }

    fn templates(
        &mut self,
        id: NodeId,
        into: &mut BTreeMap<String, Option<Template>>,
    ) -> Result<(), String> {
        let node = self.visit(id)?;
        let Some(pairs) = self.pairs(node, TEMPLATES)? else {
            return Ok(());
        };
        for (key, value) in pairs {
            match self.key(*key)? {
                Key::Merge => self.merge(*value, &mut |this, id| this.templates(id, into))?,
                Key::Name(name) => {
                    let mut template = None;
                    self.optional(*value, &mut template, Self::template)?;
                    into.insert(name, template);
                }
            }
        }
        Ok(())
    }

    fn template(&mut self, id: NodeId, into: &mut Template) -> Result<(), String> {
        let node = self.visit(id)?;
        let Some(pairs) = self.pairs(node, TEMPLATE)? else {
            return Ok(());
        };
        for (key, value) in pairs {
            match self.key(*key)? {
                Key::Merge => self.merge(*value, &mut |this, id| this.template(id, into))?,
                Key::Name(name) => match name.as_str() {
                    "when" => self.optional(*value, &mut into.when, Self::list)?,
                    "create_only" => self.flag(*value, &mut into.create_only)?,
                    "template" => self.text(*value, &mut into.template)?,
                    "properties" => self.optional(*value, &mut into.properties, Self::strings)?,
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// A value that is not there when it is null.
    fn optional<T: Default>(
        &mut self,
        id: NodeId,
        into: &mut Option<T>,
        decode: fn(&mut Self, NodeId, &mut T) -> Result<(), String>,
    ) -> Result<(), String> {
        let node = self.visit(id)?;
        if Self::scalar(node)? == Some(Scalar::Null) {
            *into = None;
            return Ok(());
        }
        decode(self, id, into.get_or_insert_default())
    }

    fn strings(&mut self, id: NodeId, into: &mut BTreeMap<String, String>) -> Result<(), String> {
        let node = self.visit(id)?;
        let Some(pairs) = self.pairs(node, STRINGS)? else {
            return Ok(());
        };
        for (key, value) in pairs {
            match self.key(*key)? {
                Key::Merge => self.merge(*value, &mut |this, id| this.strings(id, into))?,
                Key::Name(name) => {
                    let mut text = String::new();
                    self.text(*value, &mut text)?;
                    into.insert(name, text);
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, id: NodeId, into: &mut Vec<String>) -> Result<(), String> {
        let node = self.visit(id)?;
        let Value::Sequence(items) = &node.value else {
            return self.unless_null(node, "[]string");
        };
        into.clear();
        for item in items {
            let mut text = String::new();
            self.text(*item, &mut text)?;
            into.push(text);
        }
        Ok(())
    }

    fn text(&mut self, id: NodeId, into: &mut String) -> Result<(), String> {
        let node = self.visit(id)?;
        let Value::Scalar { text, is_plain } = &node.value else {
            self.wrong(node, "string")?;
            return Ok(());
        };
        *into = match resolve(node.tag.as_deref(), text, *is_plain)? {
            Scalar::Null => String::new(),
            Scalar::Binary(decoded) => decoded,
            // Numbers and the like keep the way they are written.
            _ => text.clone(),
        };
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "within range, and Go cuts it off too"
    )]
    #[expect(clippy::cast_precision_loss, reason = "the bound is a power of two")]
    fn integer(&mut self, id: NodeId, into: &mut i64) -> Result<(), String> {
        let node = self.visit(id)?;
        match Self::scalar(node)? {
            Some(Scalar::Int(number)) => *into = number,
            Some(Scalar::Float(number)) if number.abs() < i64::MAX as f64 => *into = number as i64,
            Some(Scalar::Null) => *into = 0,
            _ => self.wrong(node, "int64")?,
        }
        Ok(())
    }

    fn flag(&mut self, id: NodeId, into: &mut bool) -> Result<(), String> {
        let node = self.visit(id)?;
        match Self::scalar(node)? {
            Some(Scalar::Bool(flag)) => *into = flag,
            Some(Scalar::Null) => *into = false,
            _ => self.wrong(node, "bool")?,
        }
        Ok(())
    }

    fn scalar(node: &Node) -> Result<Option<Scalar>, String> {
        match &node.value {
            Value::Scalar { text, is_plain } => {
                resolve(node.tag.as_deref(), text, *is_plain).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The pairs of a mapping; `None` for what is none, which is noted unless it is null.
    fn pairs(&mut self, node: &'t Node, go_type: &str) -> Result<Option<Pairs<'t>>, String> {
        if let Value::Mapping(pairs) = &node.value {
            return Ok(Some(pairs));
        }
        self.unless_null(node, go_type)?;
        Ok(None)
    }

    fn unless_null(&mut self, node: &Node, go_type: &str) -> Result<(), String> {
        match Self::scalar(node)? {
            Some(Scalar::Null) => Ok(()),
            _ => self.wrong(node, go_type),
        }
    }

    fn key(&mut self, id: NodeId) -> Result<Key, String> {
        let node = self.visit(id)?;
        if Self::scalar(node)? == Some(Scalar::Merge) {
            return Ok(Key::Merge);
        }
        let mut name = String::new();
        self.text(id, &mut name)?;
        Ok(Key::Name(name))
    }

    /// `<<`: takes the pairs of another mapping, or of several.
    fn merge(
        &mut self,
        id: NodeId,
        take: &mut dyn FnMut(&mut Self, NodeId) -> Result<(), String>,
    ) -> Result<(), String> {
        let wants = || "yaml: map merge requires map or sequence of maps as the value".to_owned();
        match &self.visit(id)?.value {
            Value::Mapping(_) => take(self, id),
            Value::Sequence(items) => {
                // The first mapping of several wins.
                for item in items.iter().rev() {
                    if !matches!(self.visit(*item)?.value, Value::Mapping(_)) {
                        return Err(wants());
                    }
                    take(self, *item)?;
                }
                Ok(())
            }
            Value::Scalar { .. } => Err(wants()),
        }
    }

    /// Notes a value of the wrong type.
    fn wrong(&mut self, node: &Node, go_type: &str) -> Result<(), String> {
        let tag = match (&node.tag, Self::scalar(node)?) {
            (Some(tag), _) => short(tag),
            (None, Some(scalar)) => scalar.tag().to_owned(),
            (None, None) if matches!(node.value, Value::Sequence(_)) => "!!seq".to_owned(),
            (None, None) => "!!map".to_owned(),
        };
        let mut error = format!("line {}: cannot unmarshal {tag}", node.line);
        if let Value::Scalar { text, .. } = &node.value {
            // Writing to a string cannot fail.
            let _infallible = write!(error, " `{}`", shown(text));
        }
        error.push_str(" into ");
        error.push_str(go_type);
        self.errors.push(error);
        Ok(())
    }
}

enum Key {
    Name(String),
    Merge,
}

/// LXD: longer than ten bytes is cut to seven.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN_BYTES {
        return text.to_owned();
    }
    let cut = text.as_bytes().get(..SHOWN_BYTES - 3).unwrap_or_default();
    format!("{}...", String::from_utf8_lossy(cut))
}
