//! The table of routes in docs/security.md, as it is written for administrators.

use std::collections::BTreeMap;

use super::Subject;
use super::logins::KnownLogin;

/// Heads of the columns behind the route.
const HEADS: [&str; 7] =
    ["changes", "nobody", "viewer", "upstreamuser", "root", "token that starts", "slave"];

/// Kind of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Nobody,
    Viewer,
    UpstreamUser,
    Root,
    Start,
    Slave,
}

impl Column {
    /// In the order of the table.
    pub(super) const ALL: [Self; 6] =
        [Self::Nobody, Self::Viewer, Self::UpstreamUser, Self::Root, Self::Start, Self::Slave];
}

/// What a kind of login may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableCell {
    Yes,
    No,
    /// For what is their own.
    Own,
    /// With a password or a session; whose, if it is not only their own.
    Password {
        own: bool,
    },
    /// The master of a slave, from its own address: `slaves::of_2014` asks as such.
    Master,
}

impl TableCell {
    fn read(text: &str) -> Self {
        match text {
            // The server of this test is public.
            "yes" | "public" => Self::Yes,
            "no" => Self::No,
            "own" => Self::Own,
            "by password" => Self::Password { own: false },
            "own, by password" => Self::Password { own: true },
            "its master" => Self::Master,
            other => panic!("docs/security.md says `{other}` in the table of routes"),
        }
    }

    /// What is worth asking for: a login that owns nothing has only what others own.
    pub(super) fn subjects(self, has_own: bool) -> Vec<Subject> {
        match self {
            Self::Own if !has_own => vec![Subject::Others],
            Self::Own | Self::Password { .. } => vec![Subject::Own, Subject::Others],
            Self::Yes | Self::No | Self::Master => vec![Subject::Own],
        }
    }

    /// Returns whether a login of this column may ask for that.
    pub(super) fn allows(self, login: &KnownLogin, has_own: bool, subject: Subject) -> bool {
        match self {
            Self::Yes => true,
            Self::No | Self::Master => false,
            Self::Own => subject == Subject::Own && has_own,
            Self::Password { own } => login.is_by_password && (!own || subject == Subject::Own),
        }
    }
}

/// A route as the table has it.
pub(super) struct TableRow {
    pub(super) changes: bool,
    pub(super) cells: BTreeMap<Column, TableCell>,
}

/// Reads the table; the name of a row is its method and path.
pub(super) fn read() -> BTreeMap<String, TableRow> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md")).unwrap();
    let table = text.split("<!-- routes -->").nth(1).unwrap();
    let mut lines = table.lines().filter(|line| line.starts_with('|')).map(cells);
    assert_eq!(lines.next().unwrap()[1..], HEADS, "the columns of the table of routes");

    let mut rows = BTreeMap::new();
    for cells in lines.skip(1) {
        assert_eq!(cells.len(), HEADS.len() + 1, "a cell is missing in {cells:?}");
        let changes = match cells[1].as_str() {
            "yes" => true,
            "no" => false,
            other => panic!("`{other}` says nothing of whether {} changes something", cells[0]),
        };
        let read = Column::ALL.into_iter().zip(cells[2..].iter().map(|cell| TableCell::read(cell)));
        let row = TableRow { changes, cells: read.collect() };
        let name = cells[0].trim_matches('`').to_owned();
        assert!(rows.insert(name, row).is_none(), "{} is there twice", cells[0]);
    }
    rows
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}
