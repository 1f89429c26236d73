//! Python pickles of plain data, as the CIFAR archives have them: dictionaries, lists, tuples, numbers, strings, and NumPy
//! arrays of bytes.
//!
//! A pickle is a program for a stack machine that may call any function. This machine knows none: the four names that
//! NumPy needs for an array of bytes are data here, and any other name is an error.

use std::borrow::Cow;
use std::collections::HashMap;

use thiserror::Error;

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    items: Vec<Item<'a>>,
    root: Id,
}

/// Why bytes are not a pickle of plain data.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum PickleError {
    #[error("the pickle is cut short")]
    CutShort,
    #[error("the pickle wants to use `{0}`, which is not done; only plain data and arrays of bytes are read")]
    Name(String),
    #[error("the pickle has the instruction {0:#04x}, which plain data does not need")]
    Instruction(u8),
    #[error("the pickle is damaged: {0}")]
    Damaged(&'static str),
}

/// A NumPy array of bytes in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByteArray<'a> {
    pub shape: Vec<usize>,
    pub data: Cow<'a, [u8]>,
}

/// An item by its place, so that an instruction may go on filling a list that others hold.
type Id = usize;

#[derive(Debug, Clone)]
enum Item<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// `str` and `bytes` of all Pythons.
    Text(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(Name),
    /// Whether it is that of bytes.
    Dtype(bool),
    /// None until its state is given.
    Array(Option<ByteArray<'a>>),
}

/// The names that arrays of bytes are pickled with.
#[derive(Debug, Clone, Copy)]
enum Name {
    /// `numpy.core.multiarray._reconstruct`: an empty array.
    Reconstruct,
    /// `numpy.ndarray`, an argument of it.
    Ndarray,
    Dtype,
    /// `_codecs.encode`: bytes, as Python 3 writes them for Python 2.
    Encode,
}

struct Machine<'a> {
    rest: &'a [u8],
    items: Vec<Item<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle of any protocol from 1 on.
    pub fn read(bytes: &'a [u8]) -> Result<Pickle<'a>, PickleError> {
        let mut machine = Machine { rest: bytes, items: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        loop {
            let instruction = machine.byte()?;
            if instruction == b'.' {
                let root = machine.pop()?;
                return Ok(Pickle { items: machine.items, root });
            }
            machine.step(instruction)?;
        }
    }

    /// The array of bytes under a key of the dictionary.
    pub fn array(&self, key: &str) -> Option<&ByteArray<'a>> {
        match self.get(key)? {
            Item::Array(array) => array.as_ref(),
            _ => None,
        }
    }

    /// The list of numbers under a key of the dictionary.
    pub fn ints(&self, key: &str) -> Option<Vec<i64>> {
        let Item::List(list) = self.get(key)? else { return None };
        list.iter().map(|id| if let Item::Int(value) = self.items[*id] { Some(value) } else { None }).collect()
    }

    /// The list of strings under a key of the dictionary.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        let Item::List(list) = self.get(key)? else { return None };
        let text = |id: &Id| if let Item::Text(text) = &self.items[*id] { String::from_utf8(text.to_vec()).ok() } else { None };
        list.iter().map(text).collect()
    }

    fn get(&self, key: &str) -> Option<&Item<'a>> {
        let Item::Dict(entries) = &self.items[self.root] else { return None };
        let is_key = |id: Id| matches!(&self.items[id], Item::Text(text) if **text == *key.as_bytes());
        entries.iter().rfind(|(id, _)| is_key(*id)).map(|(_, value)| &self.items[*value])
    }
}

impl<'a> Machine<'a> {
    fn step(&mut self, instruction: u8) -> Result<(), PickleError> {
        match instruction {
            0x80 => drop(self.take(1)?),                       // PROTO
            0x95 => drop(self.take(8)?),                       // FRAME
            b'N' => self.push(Item::None),                     // NONE
            0x88 => self.push(Item::Bool(true)),               // NEWTRUE
            0x89 => self.push(Item::Bool(false)),              // NEWFALSE
            b'K' => self.push_int(1)?,                         // BININT1
            b'M' => self.push_int(2)?,                         // BININT2
            b'J' => self.push_int(4)?,                         // BININT
            0x8a => self.long()?,                              // LONG1
            b'U' | b'C' | 0x8c => self.text(1)?,               // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
            b'T' | b'B' | b'X' => self.text(4)?,               // BINSTRING, BINBYTES, BINUNICODE
            0x8e | 0x8d => self.text(8)?,                      // BINBYTES8, BINUNICODE8
            b'(' => self.marks.push(self.stack.len()),         // MARK
            b']' => self.push(Item::List(Vec::new())),         // EMPTY_LIST
            b'}' => self.push(Item::Dict(Vec::new())),         // EMPTY_DICT
            b')' => self.push(Item::Tuple(Vec::new())),        // EMPTY_TUPLE
            0x85..=0x87 => self.tuple(instruction - 0x84)?,    // TUPLE1, TUPLE2, TUPLE3
            b't' | b'l' | b'd' => self.collect(instruction)?,  // TUPLE, LIST, DICT
            b'a' | b'e' => self.append(instruction == b'a')?,  // APPEND, APPENDS
            b's' | b'u' => self.set(instruction == b's')?,     // SETITEM, SETITEMS
            b'q' | b'r' | 0x94 => self.remember(instruction)?, // BINPUT, LONG_BINPUT, MEMOIZE
            b'h' | b'j' => self.recall(instruction == b'h')?,  // BINGET, LONG_BINGET
            b'c' => self.name_in_lines()?,                     // GLOBAL
            0x93 => self.name_on_stack()?,                     // STACK_GLOBAL
            b'R' => self.reduce()?,                            // REDUCE
            b'b' => self.build()?,                             // BUILD
            other => return Err(PickleError::Instruction(other)),
        }
        Ok(())
    }

    fn push_int(&mut self, bytes: usize) -> Result<(), PickleError> {
        let number = self.unsigned(bytes)?;
        // Only the form with four bytes has a sign.
        let number = if bytes == 4 { i64::from(number as u32 as i32) } else { number as i64 };
        self.push(Item::Int(number));
        Ok(())
    }

    fn long(&mut self) -> Result<(), PickleError> {
        let length = self.unsigned(1)? as usize;
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(PickleError::Damaged("a number has more than 64 bits"));
        }
        let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut word = [fill; 8];
        word[..length].copy_from_slice(bytes);
        self.push(Item::Int(i64::from_le_bytes(word)));
        Ok(())
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), PickleError> {
        let length = usize::try_from(self.unsigned(length_bytes)?).map_err(|_| PickleError::CutShort)?;
        let bytes = self.take(length)?;
        self.push(Item::Text(Cow::Borrowed(bytes)));
        Ok(())
    }

    fn tuple(&mut self, length: u8) -> Result<(), PickleError> {
        let start = self.stack.len().checked_sub(usize::from(length)).ok_or(PickleError::Damaged("its stack is empty"))?;
        let members = self.stack.split_off(start);
        self.push(Item::Tuple(members));
        Ok(())
    }

    fn collect(&mut self, instruction: u8) -> Result<(), PickleError> {
        let members = self.pop_mark()?;
        let item = match instruction {
            b't' => Item::Tuple(members),
            b'l' => Item::List(members),
            _ => Item::Dict(pairs(&members)?),
        };
        self.push(item);
        Ok(())
    }

    fn append(&mut self, one: bool) -> Result<(), PickleError> {
        let members = if one { vec![self.pop()?] } else { self.pop_mark()? };
        match self.top()? {
            Item::List(list) => list.extend(members),
            _ => return Err(PickleError::Damaged("something is appended to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, one: bool) -> Result<(), PickleError> {
        let members = if one {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_mark()?
        };
        let new = pairs(&members)?;
        match self.top()? {
            Item::Dict(entries) => entries.extend(new),
            _ => return Err(PickleError::Damaged("a key is set in what is no dictionary")),
        }
        Ok(())
    }

    fn remember(&mut self, instruction: u8) -> Result<(), PickleError> {
        let place = match instruction {
            b'q' => self.unsigned(1)? as u32,
            b'r' => self.unsigned(4)? as u32,
            _ => self.memo.len() as u32,
        };
        let id = *self.stack.last().ok_or(PickleError::Damaged("its stack is empty"))?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, short: bool) -> Result<(), PickleError> {
        let place = self.unsigned(if short { 1 } else { 4 })? as u32;
        let id = *self.memo.get(&place).ok_or(PickleError::Damaged("it recalls what it did not remember"))?;
        self.stack.push(id);
        Ok(())
    }

    fn name_in_lines(&mut self) -> Result<(), PickleError> {
        let mut line = || {
            let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(PickleError::CutShort)?;
            let line = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            Ok(String::from_utf8_lossy(line).into_owned())
        };
        let (module, name) = (line()?, line()?);
        self.push(Item::Name(Name::parse(&module, &name)?));
        Ok(())
    }

    fn name_on_stack(&mut self) -> Result<(), PickleError> {
        let (name, module) = (self.pop()?, self.pop()?);
        let text = |id: Id| match &self.items[id] {
            Item::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            _ => Err(PickleError::Damaged("a name is no text")),
        };
        let name = Name::parse(&text(module)?, &text(name)?)?;
        self.push(Item::Name(name));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Item::Name(name), Item::Tuple(arguments)) = (&self.items[function], &self.items[arguments]) else {
            return Err(PickleError::Damaged("it calls what has no name"));
        };
        let text = |place: usize| match arguments.get(place).map(|id| &self.items[*id]) {
            Some(Item::Text(text)) => Some(text),
            _ => None,
        };
        let item = match name {
            Name::Reconstruct => Item::Array(None),
            Name::Dtype => Item::Dtype(text(0).is_some_and(|code| matches!(&**code, b"u1" | b"|u1"))),
            Name::Encode => {
                Item::Text(Cow::Owned(text(0).and_then(|text| latin1(text)).ok_or(PickleError::Damaged("its bytes are no text"))?))
            }
            Name::Ndarray => return Err(PickleError::Name("numpy.ndarray()".to_owned())),
        };
        self.push(item);
        Ok(())
    }

    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let target = *self.stack.last().ok_or(PickleError::Damaged("its stack is empty"))?;
        match &self.items[target] {
            Item::Dtype(_) => Ok(()), // byte order and fields, of which bytes have none
            Item::Array(_) => {
                let array = self.array(state)?;
                self.items[target] = Item::Array(Some(array));
                Ok(())
            }
            _ => Err(PickleError::Damaged("it builds what is no array")),
        }
    }

    /// From the state `(version, shape, dtype, is_fortran, data)`.
    fn array(&self, state: Id) -> Result<ByteArray<'a>, PickleError> {
        let damaged = PickleError::Damaged("an array is not one of bytes");
        let Item::Tuple(state) = &self.items[state] else { return Err(damaged) };
        let state: Vec<&Item<'a>> = state.iter().map(|id| &self.items[*id]).collect();
        let [_, Item::Tuple(shape), Item::Dtype(true), Item::Bool(by_columns), Item::Text(data)] = state[..] else { return Err(damaged) };
        let length = |id: &Id| if let Item::Int(length) = self.items[*id] { usize::try_from(length).ok() } else { None };
        let shape: Vec<usize> = shape.iter().map(length).collect::<Option<_>>().ok_or(PickleError::Damaged("an array has no shape"))?;
        let size = shape.iter().try_fold(1_usize, |size, length| size.checked_mul(*length));
        if size != Some(data.len()) {
            return Err(PickleError::Damaged("an array's shape does not fit its data"));
        }
        let data = match shape[..] {
            [rows, columns] if *by_columns => (0..rows * columns).map(|at| data[at % columns * rows + at / columns]).collect(),
            _ if *by_columns => return Err(PickleError::Damaged("an array lies in memory by columns")),
            _ => data.clone(),
        };
        Ok(ByteArray { shape, data })
    }

    fn push(&mut self, item: Item<'a>) {
        self.items.push(item);
        self.stack.push(self.items.len() - 1);
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        self.stack.pop().ok_or(PickleError::Damaged("its stack is empty"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or(PickleError::Damaged("a mark is missing"))?))
    }

    fn top(&mut self) -> Result<&mut Item<'a>, PickleError> {
        let id = *self.stack.last().ok_or(PickleError::Damaged("its stack is empty"))?;
        Ok(&mut self.items[id])
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(PickleError::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A little-endian number of up to eight bytes.
    fn unsigned(&mut self, bytes: usize) -> Result<u64, PickleError> {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(self.take(bytes)?);
        Ok(u64::from_le_bytes(word))
    }
}

impl Name {
    fn parse(module: &str, name: &str) -> Result<Name, PickleError> {
        match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Ok(Name::Reconstruct),
            ("numpy", "ndarray") => Ok(Name::Ndarray),
            ("numpy", "dtype") => Ok(Name::Dtype),
            ("_codecs", "encode") => Ok(Name::Encode),
            _ => Err(PickleError::Name(format!("{module}.{name}"))),
        }
    }
}

fn pairs(members: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    let (pairs, rest) = members.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    } else {
        Err(PickleError::Damaged("a key has no value"))
    }
}

/// The bytes whose Latin-1 text this is.
fn latin1(utf8: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(utf8).ok()?.chars().map(|char| u8::try_from(char).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written by CPython 3.11 and NumPy 2.4; `tests/archives/make.py` prints them.
    const PROTOCOL_2: &str = "80027d7100285804000000646174617101636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7102\
        636e756d70790a6e6461727261790a71034b00857104635f636f646563730a656e636f64650a7105580100000062710658060000006c6174696e31710786710852\
        710987710a52710b284b014b024b0386710c636e756d70790a64747970650a710d58020000007531710e898887710f527110284b0358010000007c71114e4e4e4a\
        ffffffff4affffffff4b0074711262896805580c000000c3bac3bbc3bcc3bdc3bec3bf711368078671145271157471166258060000006c6162656c7371175d7118\
        284b014afeffffff4d2c0165752e";
    const PROTOCOL_4: &str = "800495b3000000000000007d94288c0464617461948c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e73\
        74727563749493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b014b024b03869468058c0564747970659493948c027531\
        94898887945294284b038c017c944e4e4e4affffffff4affffffff4b00749462894306fafbfcfdfeff947494628c066c6162656c73945d94284b014afeffffff4d\
        2c0165752e";
    const BY_COLUMNS: &str = "80027d71005804000000646174617101636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7102\
        636e756d70790a6e6461727261790a71034b00857104635f636f646563730a656e636f64650a7105580100000062710658060000006c6174696e31710786710852\
        710987710a52710b284b014b024b0386710c636e756d70790a64747970650a710d58020000007531710e898887710f527110284b0358010000007c71114e4e4e4a\
        ffffffff4affffffff4b0074711262886805580c000000c3bac3bdc3bbc3bec3bcc3bf7113680786711452711574711662732e";

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn error(pickle: &[u8]) -> PickleError {
        Pickle::read(pickle).unwrap_err()
    }

    #[test]
    fn arrays_and_lists_of_old_and_new_protocols_are_read() {
        for hex in [PROTOCOL_2, PROTOCOL_4] {
            let bytes = bytes(hex);
            let pickle = Pickle::read(&bytes).unwrap();
            let expected = ByteArray { shape: vec![2, 3], data: Cow::Owned((250..=255).collect()) };
            assert_eq!(pickle.array("data"), Some(&expected));
            assert_eq!(pickle.ints("labels"), Some(vec![1, -2, 300]));
            assert_eq!((pickle.ints("data"), pickle.texts("labels"), pickle.array("labels")), (None, None, None));
        }
        let by_columns = bytes(BY_COLUMNS);
        assert_eq!(*Pickle::read(&by_columns).unwrap().array("data").unwrap().data, [250, 251, 252, 253, 254, 255]);
    }

    #[test]
    fn nothing_is_called() {
        let system = b"cos\nsystem\n(X\x07\x00\x00\x00echo oktR.";
        assert_eq!(error(system), PickleError::Name("os.system".into()));
        assert_eq!(error(b"c__builtin__\neval\n."), PickleError::Name("__builtin__.eval".into()));
        assert_eq!(error(b"\x8c\x08builtins\x8c\x04eval\x93."), PickleError::Name("builtins.eval".into()));
        assert_eq!(error(b"(X\x02\x00\x00\x00lsios\nsystem\n."), PickleError::Instruction(b'i'));
        assert_eq!(error(b"(cnumpy\nndarray\n)R."), PickleError::Name("numpy.ndarray()".into()));
    }

    #[test]
    fn a_pickle_that_is_cut_short_or_damaged_anywhere_is_an_error_or_other_data() {
        let intact = bytes(PROTOCOL_4);
        for length in 0..intact.len() {
            assert_eq!(error(&intact[..length]), PickleError::CutShort);
        }
        for place in 0..intact.len() {
            for bit in 0..8 {
                let mut damaged = intact.clone();
                damaged[place] ^= 1 << bit;
                if let Ok(pickle) = Pickle::read(&damaged) {
                    let array = pickle.array("data");
                    assert!(array.is_none_or(|array| array.data.len() == array.shape.iter().product::<usize>()));
                }
            }
        }
    }
}
