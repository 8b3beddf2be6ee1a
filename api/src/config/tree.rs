//! The configuration text as a tree that remembers where everything stands.
//!
//! `ron` has already accepted the text when it comes here, so this scanner only has to find borders, not to judge;
//! what it still cannot follow is an error with a place, never a panic. It decodes nothing: [`Kind::Scalar`] is read
//! later by `ron` from its span.

use std::ops::Range;

/// One value of the text.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Bytes of the text that the value takes, including the variant's or struct's name.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value looks like, before anybody asks what it should be.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// `(key: value)` or `Name(key: value)`; also `()` and `Name()`.
    Group { name: Option<String>, fields: Vec<Field> },
    /// `(value)` or `Name(value)`.
    Tuple { name: Option<String>, items: Vec<Node> },
    /// `{key: value}`
    Map(Vec<(Node, Node)>),
    /// `[value]`
    List(Vec<Node>),
    /// A bare word: `true`, `None`, `Text`.
    Word(String),
    /// A string, a number or a character.
    Scalar,
}

/// A key of a group with its value.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

/// The byte at which the scanner could not follow the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost(pub(super) usize);

impl Node {
    /// Reads the whole text as one value.
    pub(super) fn parse(text: &str) -> Result<Self, Lost> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.attributes()?;
        let node = scanner.value()?;
        scanner.blank()?;
        if scanner.at == text.len() { Ok(node) } else { Err(Lost(scanner.at)) }
    }

    /// The struct's or variant's name in front of the parentheses.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Group { name, .. } | Kind::Tuple { name, .. } => name.as_deref(),
            _ => None,
        }
    }

    /// The value below a dotted path such as `role.defaults.options[1]`, seen through `Some(..)` and `Name((..))`.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, step| {
            let (key, index) = match step.split_once('[') {
                Some((key, rest)) => (key, Some(rest.trim_end_matches(']').parse::<usize>().ok()?)),
                None => (step, None),
            };
            let value = match &node.unwrapped().kind {
                Kind::Group { fields, .. } => &fields.iter().find(|field| field.key == key)?.value,
                _ => return None,
            };
            match (index, &value.unwrapped().kind) {
                (None, _) => Some(value),
                (Some(index), Kind::List(items)) => items.get(index),
                (Some(_), _) => None,
            }
        })
    }

    /// The value within a one-element `Some(..)` or `Name((..))`, else itself.
    pub(super) fn unwrapped(&self) -> &Self {
        match &self.kind {
            Kind::Tuple { items, .. } => match items.as_slice() {
                [inner] if matches!(inner.kind, Kind::Group { .. } | Kind::Tuple { .. } | Kind::List(_)) => {
                    inner.unwrapped()
                }
                _ => self,
            },
            _ => self,
        }
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn lost<T>(&self) -> Result<T, Lost> {
        Err(Lost(self.at))
    }

    /// Steps over `expected`, or says that it is not there.
    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Steps to just behind the next `end`.
    fn skip_past(&mut self, end: &str) -> Result<(), Lost> {
        match self.rest().find(end) {
            Some(length) => {
                self.at += length + end.len();
                Ok(())
            }
            None => self.lost(),
        }
    }

    /// White space and comments; block comments nest.
    fn blank(&mut self) -> Result<(), Lost> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.eat("/*") {
                let mut depth = 1_usize;
                while depth > 0 {
                    if self.eat("/*") {
                        depth += 1;
                    } else if self.eat("*/") {
                        depth -= 1;
                    } else if let Some(c) = self.peek() {
                        self.at += c.len_utf8();
                    } else {
                        return self.lost();
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    /// `#![enable(...)]` lines at the start.
    fn attributes(&mut self) -> Result<(), Lost> {
        self.blank()?;
        while self.eat("#") {
            self.skip_past("]")?;
            self.blank()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Node, Lost> {
        self.blank()?;
        let start = self.at;
        let kind = if self.scalar()? {
            Kind::Scalar
        } else if self.eat("(") {
            self.parens(None)?
        } else if self.eat("[") {
            Kind::List(self.sequence("]", Self::value)?)
        } else if self.eat("{") {
            Kind::Map(self.sequence("}", Self::entry)?)
        } else {
            let word = self.word()?;
            let end = self.at;
            self.blank()?;
            if self.eat("(") {
                self.parens(Some(word))?
            } else {
                self.at = end;
                Kind::Word(word)
            }
        };
        Ok(Node { span: start..self.at, kind })
    }

    /// Steps over a string, a number or a character, if one stands here.
    fn scalar(&mut self) -> Result<bool, Lost> {
        let rest = self.rest();
        let plain = rest.strip_prefix('b').unwrap_or(rest);
        let prefix = rest.len() - plain.len();
        if plain.starts_with(['"', '\'']) {
            self.at += prefix;
            self.quoted()?;
            return Ok(true);
        }
        if let Some(raw) = plain.strip_prefix('r') {
            let hashes = raw.len() - raw.trim_start_matches('#').len();
            if raw.trim_start_matches('#').starts_with('"') {
                self.at += prefix + 1 + hashes + 1;
                self.skip_past(&format!("\"{}", "#".repeat(hashes)))?;
                return Ok(true);
            }
        }
        if rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
            self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'));
            return Ok(true);
        }
        Ok(false)
    }

    /// A string or character with escapes, from its opening quote.
    fn quoted(&mut self) -> Result<(), Lost> {
        let mut chars = self.rest().char_indices();
        let Some((_, quote)) = chars.next() else { return self.lost() };
        let mut escaped = false;
        for (index, c) in chars {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.at += index + c.len_utf8();
                return Ok(());
            }
        }
        self.lost()
    }

    fn word(&mut self) -> Result<String, Lost> {
        self.eat("r#");
        let word = self.take_while(|c| c.is_alphanumeric() || c == '_');
        if word.is_empty() { self.lost() } else { Ok(word.to_owned()) }
    }

    /// What stands between parentheses, the opening one being read: keys with values, or values.
    fn parens(&mut self, name: Option<String>) -> Result<Kind, Lost> {
        self.blank()?;
        let start = self.at;
        let first_is_key = self.key().is_ok();
        self.at = start;
        if first_is_key || self.rest().starts_with(')') {
            Ok(Kind::Group { name, fields: self.sequence(")", Self::field)? })
        } else {
            Ok(Kind::Tuple { name, items: self.sequence(")", Self::value)? })
        }
    }

    /// Elements divided by commas up to `end`.
    fn sequence<T>(
        &mut self,
        end: &str,
        mut element: impl FnMut(&mut Self) -> Result<T, Lost>,
    ) -> Result<Vec<T>, Lost> {
        let mut elements = Vec::new();
        self.blank()?;
        while !self.eat(end) {
            elements.push(element(self)?);
            self.blank()?;
            if !self.eat(",") && !self.rest().starts_with(end) {
                return self.lost();
            }
            self.blank()?;
        }
        Ok(elements)
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<(String, Range<usize>), Lost> {
        let start = self.at;
        let key = self.word()?;
        let span = start..self.at;
        self.blank()?;
        if self.eat(":") { Ok((key, span)) } else { self.lost() }
    }

    fn field(&mut self) -> Result<Field, Lost> {
        let (key, key_span) = self.key()?;
        Ok(Field { key, key_span, value: self.value()? })
    }

    fn entry(&mut self) -> Result<(Node, Node), Lost> {
        let key = self.value()?;
        self.blank()?;
        if !self.eat(":") {
            return self.lost();
        }
        Ok((key, self.value()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Lost, Node};
    use proptest::prelude::{ProptestConfig, any, proptest};

    const TEXT: &str = "#![enable(implicit_some)]\n( // comment )\n a: [1, -2.5, r#\"x\"]\"#], /* b: ( /* nested */ */\n \
                        b: Name(c: \"q\\\"(\", d: Some((e: 'x',)),), f: {\"k\": 1}, g: (), h: None,)\n// end";

    #[test]
    fn every_value_is_found_by_its_path() {
        let root = Node::parse(TEXT).unwrap();
        let at = |path: &str| root.find(path).map(|node| &TEXT[node.span.clone()]);
        assert_eq!(at("a[1]"), Some("-2.5"));
        assert_eq!(at("a[2]"), Some("r#\"x\"]\"#"));
        assert_eq!(at("b.c"), Some("\"q\\\"(\""));
        assert_eq!(at("b.d.e"), Some("'x'"));
        assert_eq!(at("f"), Some("{\"k\": 1}"));
        assert_eq!(at("g"), Some("()"));
        assert_eq!(at("h"), Some("None"));
        assert_eq!(at("a[9]").or(at("b.z")).or(at("zz")), None);
        assert_eq!(root.find("b").unwrap().name(), Some("Name"));
        assert!(matches!(root.find("g").unwrap().kind, Kind::Group { .. }));
    }

    #[test]
    fn a_text_that_cannot_be_followed_is_an_error_with_its_place() {
        for (text, place) in
            [("(a: 1 b: 2)", 6), ("(a: \"x)", 4), ("[1", 2), ("(a: 1) x", 7), ("/* ", 3), ("", 0)]
        {
            assert_eq!(Node::parse(text).unwrap_err(), Lost(place), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn no_text_makes_the_scanner_panic(text in any::<String>(), cut in 0..TEXT.len()) {
            let _ = Node::parse(&text);
            let _ = Node::parse(TEXT.get(..cut).unwrap_or_default());
        }
    }
}
