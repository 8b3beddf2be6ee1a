//! The machine: a stack, marks on it, and a memory of values by number.
//!
//! Each instruction takes at least one byte of the pickle and adds at most two values; what is on the stack is moved
//! into lists, never copied. So the time and the memory for a pickle are bounded by its length.

use std::collections::HashMap;

use super::value::{Id, Node};
use super::{MAX_BYTES, MAX_VALUES, Pickle, PickleError, text};

/// The longest name of a module, a class or a function.
const MAX_NAME: usize = 200;

/// Reads a pickle up to the instruction that ends it.
pub(in crate::import) fn read(bytes: &[u8]) -> Result<Pickle, PickleError> {
    if bytes.len() > MAX_BYTES {
        return Err(PickleError::TooLong(bytes.len()));
    }
    let mut machine = Machine { rest: bytes, ..Machine::default() };
    loop {
        if machine.step()? == Step::Last {
            let root = machine.pop()?;
            return Ok(Pickle { nodes: machine.nodes, root });
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memory: HashMap<u32, Id>,
}

#[derive(PartialEq, Eq)]
enum Step {
    More,
    Last,
}

type Done = Result<(), PickleError>;

impl<'a> Machine<'a> {
    fn step(&mut self) -> Result<Step, PickleError> {
        let [instruction] = self.array()?;
        match instruction {
            b'.' => return Ok(Step::Last),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.drop_one()?,
            b'1' => drop(self.pop_mark()?),
            b'2' => self.stack.push(self.top()?),
            0x80 => match self.array()? {
                [0..=4] => {}
                [other] => return Err(PickleError::Protocol(other)),
            },
            // A frame only says how much could be read at once.
            0x95 => drop(self.array::<8>()?),
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'L' | b'M' | b'F' | b'G' | 0x8a | 0x8b => {
                self.number(instruction)?;
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | b'B' | b'C' | 0x8c | 0x8d | 0x8e => {
                self.string(instruction)?;
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(instruction)?,
            b'c' | b'i' | b'o' | b'R' | b'b' | 0x81 | 0x92 | 0x93 => self.object(instruction)?,
            _ => self.collection(instruction)?,
        }
        Ok(Step::More)
    }

    fn number(&mut self, instruction: u8) -> Done {
        let node = match instruction {
            b'N' => Node::Nothing,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'J' => Node::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Node::Int(u8::from_le_bytes(self.array()?).into()),
            b'M' => Node::Int(u16::from_le_bytes(self.array()?).into()),
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            0x8a | 0x8b => {
                let length = if instruction == 0x8a { self.length::<1>()? } else { self.length::<4>()? };
                long(self.take(length)?)
            }
            _ => {
                let line = std::str::from_utf8(self.line()?).unwrap_or_default();
                let wrong = PickleError::Damaged("a number is none");
                match (instruction, line) {
                    (b'I', "00") => Node::Bool(false),
                    (b'I', "01") => Node::Bool(true),
                    (b'F', _) => Node::Float(line.parse().map_err(|_| wrong)?),
                    _ => decimal(line.strip_suffix('L').unwrap_or(line)).ok_or(wrong)?,
                }
            }
        };
        self.push(node)
    }

    fn string(&mut self, instruction: u8) -> Done {
        let length = match instruction {
            b'S' => {
                let bytes = text::quoted(self.line()?)?;
                return self.push(Node::Bytes(bytes));
            }
            b'V' => {
                let text = text::raw_unicode(self.line()?)?;
                return self.push(Node::Text(text));
            }
            b'U' | b'C' | 0x8c => self.length::<1>()?,
            b'T' | b'X' | b'B' => self.length::<4>()?,
            _ => self.length::<8>()?,
        };
        let bytes = self.take(length)?.to_vec();
        self.push(match instruction {
            b'X' | 0x8c | 0x8d => {
                Node::Text(String::from_utf8(bytes).map_err(|_| PickleError::Damaged("a text is not UTF-8"))?)
            }
            _ => Node::Bytes(bytes),
        })
    }

    fn remember(&mut self, instruction: u8) -> Done {
        let key = match instruction {
            b'p' | b'g' => {
                let line = std::str::from_utf8(self.line()?).unwrap_or_default();
                line.parse().map_err(|_| PickleError::Damaged("a place in memory is none"))?
            }
            b'q' | b'h' => u8::from_le_bytes(self.array()?).into(),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            _ => u32::try_from(self.memory.len()).map_err(|_| PickleError::TooMany)?,
        };
        if matches!(instruction, b'g' | b'h' | b'j') {
            let id = self.memory.get(&key).ok_or(PickleError::Damaged("a place in memory is empty"))?;
            self.stack.push(*id);
        } else {
            self.memory.insert(key, self.top()?);
        }
        Ok(())
    }

    fn object(&mut self, instruction: u8) -> Done {
        let node = match instruction {
            b'c' => self.global()?,
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                Node::Global(module, name)
            }
            b'i' => {
                let class = self.global()?;
                let callable = self.add(class)?;
                let arguments = self.pop_mark()?;
                Node::Object { callable, arguments: self.add(Node::List(arguments))?, state: None }
            }
            b'o' => {
                let mut arguments = self.pop_mark()?;
                if arguments.is_empty() {
                    return Err(PickleError::Damaged("an object has no class"));
                }
                let callable = arguments.remove(0);
                Node::Object { callable, arguments: self.add(Node::List(arguments))?, state: None }
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                let Some(Node::Object { state: place, .. }) = self.nodes.get_mut(top) else {
                    return Err(PickleError::Damaged("a state is for no object"));
                };
                *place = Some(state);
                return Ok(());
            }
            _ => {
                // Named arguments say nothing that is asked for here.
                if instruction == 0x92 {
                    self.drop_one()?;
                }
                let arguments = self.pop()?;
                if !matches!(self.nodes.get(arguments), Some(Node::List(_))) {
                    return Err(PickleError::Damaged("a call's arguments are no tuple"));
                }
                Node::Object { callable: self.pop()?, arguments, state: None }
            }
        };
        self.push(node)
    }

    fn collection(&mut self, instruction: u8) -> Done {
        let node = match instruction {
            b']' | b')' | 0x8f => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b'l' | b't' | 0x91 => Node::List(self.pop_mark()?),
            b'd' => Node::Dict(pairs(&self.pop_mark()?)?),
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x85..=instruction {
                    items.push(self.pop()?);
                }
                items.reverse();
                Node::List(items)
            }
            b'a' => {
                let item = self.pop()?;
                return self.extend(&[item]);
            }
            b'e' | b'u' | 0x90 => {
                let items = self.pop_mark()?;
                return self.extend(&items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.extend(&[key, value]);
            }
            other => return Err(PickleError::Instruction(other)),
        };
        self.push(node)
    }

    /// Adds to the list or dictionary on top. What is added to an object of another class is left out.
    fn extend(&mut self, items: &[Id]) -> Done {
        let top = self.top()?;
        match self.nodes.get_mut(top) {
            Some(Node::List(list)) => list.extend_from_slice(items),
            Some(Node::Dict(dict)) => dict.extend(pairs(items)?),
            Some(Node::Object { .. }) => {}
            _ => return Err(PickleError::Damaged("items are for no list")),
        }
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<Id, PickleError> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(PickleError::TooMany);
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn push(&mut self, node: Node) -> Done {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    /// What lies below the last mark is not to be had before that mark is taken away.
    fn top(&self) -> Result<Id, PickleError> {
        let floor = self.marks.last().copied().unwrap_or_default();
        let above = self.stack.get(floor..).unwrap_or_default();
        above.last().copied().ok_or(PickleError::Damaged("nothing is on the stack"))
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Takes the top away, which may be a mark.
    fn drop_one(&mut self) -> Done {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let floor = self.marks.pop().ok_or(PickleError::Damaged("there is no mark"))?;
        Ok(self.stack.split_off(floor.min(self.stack.len())))
    }

    fn pop_text(&mut self) -> Result<String, PickleError> {
        let id = self.pop()?;
        match self.nodes.get(id) {
            // A name is copied at each use, so a long one could fill the memory.
            Some(Node::Text(text)) if text.len() <= MAX_NAME => Ok(text.clone()),
            _ => Err(PickleError::Damaged("a name is none")),
        }
    }

    fn global(&mut self) -> Result<Node, PickleError> {
        let mut name = || Ok(String::from_utf8_lossy(self.line()?).into_owned());
        Ok(Node::Global(name()?, name()?))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(PickleError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(PickleError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length of so many bytes; one that no pickle can have is simply too large.
    fn length<const N: usize>(&mut self) -> Result<usize, PickleError> {
        let bytes: [u8; N] = self.array()?;
        let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).map_err(|_| PickleError::Truncated)
    }

    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(PickleError::Truncated)?;
        let line = self.take(end)?;
        self.take(1)?;
        Ok(line)
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    let (pairs, rest) = items.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    } else {
        Err(PickleError::Damaged("a key has no value"))
    }
}

/// Two's complement, the least byte first.
fn long(bytes: &[u8]) -> Node {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    match wide.get_mut(..bytes.len()) {
        Some(place) => place.copy_from_slice(bytes),
        None => return Node::Huge,
    }
    Node::Int(i64::from_le_bytes(wide))
}

fn decimal(text: &str) -> Option<Node> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| text.parse().map_or(Node::Huge, Node::Int))
}
