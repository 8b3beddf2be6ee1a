//! What a pickle holds, and ways to look into it. Nothing here follows a value by itself, so loops are harmless.

/// The number of a value.
pub(in crate::import) type Id = usize;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::import) enum Node {
    /// `None`.
    Nothing,
    /// `True` and `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond 64 bits; its value is of no use here.
    Huge,
    /// A number with a fraction.
    Float(f64),
    /// Bytes, and every text of Python 2 that was not Unicode.
    Bytes(Vec<u8>),
    /// A text.
    Text(String),
    /// A list, a tuple or a set.
    List(Vec<Id>),
    /// A dictionary's keys and values.
    Dict(Vec<(Id, Id)>),
    /// The name of a function or a class: its module, and itself.
    Global(String, String),
    /// What a call of `callable` would have given. It was not called.
    Object {
        /// The function or class.
        callable: Id,
        /// The list of what it would have got.
        arguments: Id,
        /// What would have been set in the result.
        state: Option<Id>,
    },
}

/// A pickle that was read.
#[derive(Debug, Clone)]
pub(in crate::import) struct Pickle {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
}

/// A value inside a pickle.
#[derive(Debug, Clone, Copy)]
pub(in crate::import) struct Value<'a> {
    pickle: &'a Pickle,
    id: Id,
}

impl Pickle {
    /// The value of the whole.
    pub(in crate::import) fn root(&self) -> Value<'_> {
        Value { pickle: self, id: self.root }
    }
}

impl<'a> Value<'a> {
    fn at(self, id: Id) -> Self {
        Self { id, ..self }
    }

    /// The value itself.
    pub(in crate::import) fn node(self) -> &'a Node {
        // Every number in a pickle was given to a value by the machine; the root is one of them.
        self.pickle.nodes.get(self.id).unwrap_or(&Node::Nothing)
    }

    pub(in crate::import) fn is_nothing(self) -> bool {
        matches!(self.node(), Node::Nothing)
    }

    pub(in crate::import) fn boolean(self) -> Option<bool> {
        if let Node::Bool(truth) = self.node() { Some(*truth) } else { None }
    }

    pub(in crate::import) fn integer(self) -> Option<i64> {
        if let Node::Int(number) = self.node() { Some(*number) } else { None }
    }

    /// A text, also one of Python 2.
    pub(in crate::import) fn text(self) -> Option<&'a str> {
        match self.node() {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Bytes, also those that Python 3 wrote for Python 2: a call of `_codecs.encode` with a Latin-1 text.
    pub(in crate::import) fn bytes(self) -> Option<Vec<u8>> {
        match self.node() {
            Node::Bytes(bytes) => Some(bytes.clone()),
            Node::Object { .. } if self.class() == Some(("_codecs", "encode")) => {
                self.argument(0)?.text()?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
            }
            _ => None,
        }
    }

    /// The items of a list, a tuple or a set.
    pub(in crate::import) fn items(self) -> Option<impl Iterator<Item = Value<'a>>> {
        if let Node::List(items) = self.node() {
            Some(items.iter().map(move |id| self.at(*id)))
        } else {
            None
        }
    }

    /// The value of a dictionary under a text; of several, the last.
    pub(in crate::import) fn get(self, key: &str) -> Option<Self> {
        let Node::Dict(pairs) = self.node() else { return None };
        pairs
            .iter()
            .rev()
            .find(|(name, _)| self.at(*name).text() == Some(key))
            .map(|(_, value)| self.at(*value))
    }

    /// The module and the name of an object's class, or of the function whose result it would have been.
    pub(in crate::import) fn class(self) -> Option<(&'a str, &'a str)> {
        let Node::Object { callable, .. } = self.node() else { return None };
        match self.at(*callable).node() {
            // Protocols 0 and 1 make objects through a function, which gets the class.
            Node::Global(module, name) if name == "_reconstructor" && module.starts_with("copy") => {
                match self.argument(0)?.node() {
                    Node::Global(module, name) => Some((module, name)),
                    _ => None,
                }
            }
            Node::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// What a call would have got, by place.
    pub(in crate::import) fn argument(self, index: usize) -> Option<Self> {
        let Node::Object { arguments, .. } = self.node() else { return None };
        self.at(*arguments).items()?.nth(index)
    }

    /// An attribute of an object. Python keeps those of a class with `__slots__` in the second part of a pair.
    pub(in crate::import) fn attribute(self, name: &str) -> Option<Self> {
        let Node::Object { state: Some(state), .. } = self.node() else { return None };
        let state = self.at(*state);
        match state.items() {
            None => state.get(name),
            Some(parts) => parts.filter_map(|part| part.get(name)).last(),
        }
    }
}
