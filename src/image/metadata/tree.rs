//! YAML as a tree with positions, bounded in depth and size.

use std::collections::HashMap;

use libyaml_safer::{Error as YamlError, ErrorKind, Event, EventData, Parser, ScalarStyle};

/// How deep collections may stand in each other.
pub(super) const MAX_DEPTH: usize = 100;

/// How many nodes a document may have.
pub(super) const MAX_NODES: usize = 200_000;

/// A node's place in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// An explicit tag, in full or as it was written.
    pub(super) tag: Option<String>,
    /// Counted from 1.
    pub(super) line: u64,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    Scalar {
        text: String,
        /// Written without quotes, so that it may mean something else than text.
        is_plain: bool,
    },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
}

/// The first document of a file.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Tree {
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// Reads the first document; what follows it is not looked at.
    ///
    /// # Errors
    ///
    /// The text LXD shows; `EOF` when there is no document.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if let Some(problem) = utf8_problem(bytes) {
            return Err(format!("yaml: {problem}"));
        }
        let mut input = bytes;
        let mut parser = Parser::new();
        parser.set_input(&mut input);
        let mut builder = Builder {
            parser,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
        };
        loop {
            match builder.next()?.data {
                EventData::StreamEnd => return Err("EOF".to_owned()),
                EventData::DocumentStart { .. } => break,
                _ => {}
            }
        }
        let root = builder.next()?;
        let root = builder.node(root)?;
        Ok(Self {
            nodes: builder.nodes,
            root,
        })
    }
}

struct Builder<'b> {
    parser: Parser<&'b mut &'b [u8]>,
    nodes: Vec<Node>,
    /// `None` while the node itself is still being read.
    anchors: HashMap<String, Option<NodeId>>,
    open: Vec<Option<String>>,
}

impl Builder<'_> {
    fn next(&mut self) -> Result<Event, String> {
        self.parser.parse().map_err(|error| syntax(&error))
    }

    fn node(&mut self, event: Event) -> Result<NodeId, String> {
        let line = event.start_mark.line + 1;
        match event.data {
            EventData::Alias { anchor } => match self.anchors.get(&anchor) {
                Some(Some(id)) => Ok(*id),
                Some(None) => Err(format!("yaml: anchor '{anchor}' value contains itself")),
                None => Err(format!("yaml: unknown anchor '{anchor}' referenced")),
            },
            EventData::Scalar {
                anchor,
                tag,
                value,
                plain_implicit,
                style,
                ..
            } => {
                let is_plain = plain_implicit && style == ScalarStyle::Plain;
                let id = self.add(
                    Value::Scalar {
                        text: value,
                        is_plain,
                    },
                    tag,
                    line,
                )?;
                self.anchor(anchor, Some(id));
                Ok(id)
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                self.enter(anchor)?;
                let items = self.sequence()?;
                self.leave(Value::Sequence(items), tag, line)
            }
            EventData::MappingStart { anchor, tag, .. } => {
                self.enter(anchor)?;
                let pairs = self.mapping()?;
                self.leave(Value::Mapping(pairs), tag, line)
            }
            _ => Err("yaml: unknown problem parsing YAML content".to_owned()),
        }
    }

    fn sequence(&mut self) -> Result<Vec<NodeId>, String> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event)?);
        }
    }

    fn mapping(&mut self) -> Result<Vec<(NodeId, NodeId)>, String> {
        let mut pairs = Vec::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                return Ok(pairs);
            }
            let key = self.node(event)?;
            let value = self.next()?;
            pairs.push((key, self.node(value)?));
        }
    }

    fn enter(&mut self, anchor: Option<String>) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("yaml: exceeded max depth of {MAX_DEPTH}"));
        }
        self.anchor(anchor.clone(), None);
        self.open.push(anchor);
        Ok(())
    }

    fn leave(&mut self, value: Value, tag: Option<String>, line: u64) -> Result<NodeId, String> {
        let id = self.add(value, tag, line)?;
        let anchor = self.open.pop().flatten();
        self.anchor(anchor, Some(id));
        Ok(id)
    }

    fn anchor(&mut self, anchor: Option<String>, id: Option<NodeId>) {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
    }

    fn add(&mut self, value: Value, tag: Option<String>, line: u64) -> Result<NodeId, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("yaml: document has more than {MAX_NODES} values"));
        }
        self.nodes.push(Node {
            value,
            tag: tag.filter(|tag| !tag.is_empty()),
            line,
        });
        Ok(NodeId(self.nodes.len() - 1))
    }
}

/// A syntax error in LXD's words: the line is only told when it is not the first, and counted as
/// the library counts it.
fn syntax(error: &YamlError) -> String {
    let problem = match error.problem() {
        "" => "unknown problem parsing YAML content",
        problem => problem,
    };
    let at = error.problem_mark().map_or(0, |mark| mark.line);
    let before = error.context_mark().map_or(0, |mark| mark.line);
    let line = match (at, error.kind()) {
        (0, _) => before,
        (line, ErrorKind::Scanner) => line + 1,
        (line, _) => line,
    };
    if line == 0 {
        format!("yaml: {problem}")
    } else {
        format!("yaml: line {line}: {problem}")
    }
}

/// What is wrong with the bytes themselves, in the words of the library in LXD. Text in UTF-16
/// begins with a mark and is left to the parser.
fn utf8_problem(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return None;
    }
    let error = std::str::from_utf8(bytes).err()?;
    if error.error_len().is_none() {
        return Some("incomplete UTF-8 octet sequence");
    }
    match bytes.get(error.valid_up_to()) {
        Some(0xc2..=0xf4) => Some("invalid trailing UTF-8 octet"),
        _ => Some("invalid leading UTF-8 octet"),
    }
}
