//! Real pickles of every protocol, and ones that no honest program writes.

use std::fs;
use std::path::Path;

use super::value::Node;
use super::{MAX_BYTES, MAX_VALUES, Pickle, PickleError, read};

fn fixture(name: &str) -> Pickle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/import/pickles").join(name);
    read(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_protocol_of_both_pythons_gives_the_same_values() {
    for name in [
        "python2-protocol0",
        "python2-protocol1",
        "python2-protocol2",
        "python3-protocol0",
        "python3-protocol1",
    ]
    .into_iter()
    .chain(["python3-protocol2", "python3-protocol3", "python3-protocol4"])
    {
        let pickle = fixture(&format!("{name}.pickle"));
        let root = pickle.root();
        let get = |key: &str| root.get(key).unwrap_or_else(|| panic!("{name}: no {key}"));
        assert!(get("none").is_nothing(), "{name}");
        assert_eq!(get("true").boolean(), Some(true), "{name}");
        assert_eq!(get("false").boolean(), Some(false), "{name}");
        for (key, number) in [
            ("small", 7),
            ("byte", 200),
            ("short", 40_000),
            ("int", -2_000_000_000),
            ("long", 1 << 40),
            ("negative", -(1 << 40)),
        ] {
            assert_eq!(get(key).integer(), Some(number), "{name}: {key}");
        }
        assert_eq!(get("huge").node(), &Node::Huge, "{name}");
        assert_eq!(get("float").node(), &Node::Float(1.5), "{name}");
        assert_eq!(get("text").text(), Some("grüß \u{1f30d}"), "{name}");
        assert_eq!(get("quoted").text(), Some("it's \"so\"\n\\"), "{name}");
        assert_eq!(get("bytes").bytes(), Some(vec![0, 255]), "{name}");
        let numbers = |key| get(key).items().unwrap().map(|item| item.integer().unwrap()).collect::<Vec<_>>();
        assert_eq!(numbers("list"), [1, 2, 3], "{name}");
        assert_eq!(numbers("again"), [1, 2, 3], "{name}");
        let lengths: Vec<_> =
            get("tuples").items().unwrap().map(|tuple| tuple.items().unwrap().count()).collect();
        assert_eq!(lengths, [0, 1, 2, 3, 4], "{name}");
        assert_eq!(get("dict").get("a").unwrap().get("b").unwrap().items().unwrap().count(), 0, "{name}");
        assert_eq!(get("when").class(), Some(("datetime", "datetime")), "{name}");
        assert_eq!(
            get("when").argument(0).unwrap().bytes(),
            Some(vec![7, 222, 5, 7, 18, 0, 1, 0, 0, 0]),
            "{name}"
        );
        let plain = get("plain");
        assert_eq!(plain.class(), Some(("__main__", "Plain")), "{name}");
        assert_eq!(plain.attribute("text").unwrap().text(), Some("in an object"), "{name}");
        assert_eq!(plain.attribute("number").unwrap().integer(), Some(-7), "{name}");
        let system = Node::Global("posix".to_owned(), "system".to_owned());
        assert_eq!(get("system").node(), &system, "{name}");
    }
}

#[test]
fn a_list_that_holds_itself_is_one_value_and_not_endless() {
    let pickle = fixture("python2-protocol2.pickle");
    let list = pickle.root().get("itself").unwrap();
    let inner = list.items().unwrap().next().unwrap();
    assert_eq!(list.node(), inner.node());
}

#[test]
fn a_call_of_os_system_stays_a_name_and_its_arguments() {
    let pickle = fixture("python3-attack.pickle");
    for value in [pickle.root().get("trigger"), pickle.root().get("kwargs").unwrap().get("project")] {
        let value = value.unwrap();
        assert_eq!(value.class(), Some(("posix", "system")));
        assert_eq!(value.argument(0).unwrap().text(), Some("touch /tmp/heliostat-import-was-fooled"));
        assert!(value.text().is_none());
    }
    assert!(!Path::new("/tmp/heliostat-import-was-fooled").exists());
    let classic = read(b"cos\nsystem\n(S'touch /tmp/heliostat-import-was-fooled'\ntR.").unwrap();
    assert_eq!(classic.root().class(), Some(("os", "system")));
    assert!(!Path::new("/tmp/heliostat-import-was-fooled").exists());
}

#[test]
fn lengths_that_the_pickle_does_not_have_are_refused_before_memory_is_taken() {
    for pickle in [
        &b"X\xff\xff\xff\x7fabc."[..],
        b"T\xff\xff\xff\xffabc.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00abc.",
        b"\x80\x02\x8b\xff\xff\xff\x7f1.",
        b"I12",
        b"]",
        b"",
    ] {
        assert_eq!(read(pickle).unwrap_err(), PickleError::Truncated, "{pickle:?}");
    }
    assert_eq!(read(&vec![b'('; MAX_BYTES + 1]).unwrap_err(), PickleError::TooLong(MAX_BYTES + 1));
}

#[test]
fn a_place_in_memory_far_away_costs_nothing() {
    let pickle = read(b"]r\xff\xff\xff\xff0j\xff\xff\xff\xff.").unwrap();
    assert_eq!(pickle.root().items().unwrap().count(), 0);
}

#[test]
fn deep_nesting_and_doubling_stay_as_small_as_they_are_written() {
    let deep = [vec![b']'; 50_000], vec![b'a'; 49_999], b".".to_vec()].concat();
    assert_eq!(read(&deep).unwrap().nodes.len(), 50_000);
    // Each list holds the one before it twice: 2^1000 items for who copies, 1000 values for who does not.
    let mut doubling = b"]".to_vec();
    for _ in 0..1000 {
        doubling.extend_from_slice(b"q\x000](h\x00h\x00e");
    }
    doubling.push(b'.');
    assert_eq!(read(&doubling).unwrap().nodes.len(), 1001);
}

#[test]
fn one_long_list_of_arguments_is_not_copied_into_each_call() {
    let mut pickle = b"cos\nsystem\nq\x000(".to_vec();
    pickle.extend(std::iter::repeat_n(b"K\x07".as_slice(), 30_000).flatten());
    pickle.extend_from_slice(b"tq\x010");
    pickle.extend(std::iter::repeat_n(b"h\x00h\x01R".as_slice(), 60_000).flatten());
    pickle.push(b'.');
    let read = read(&pickle).unwrap();
    let items: usize =
        read.nodes.iter().map(|node| if let Node::List(list) = node { list.len() } else { 0 }).sum();
    assert_eq!(items, 30_000);
}

#[test]
fn a_long_name_is_refused_where_it_would_be_copied_at_each_use() {
    let name = vec![b'x'; 255];
    let pickle = [b"\x80\x04\x8c\x01m\x8c\xff".as_slice(), &name, b"\x93."].concat();
    assert_eq!(read(&pickle).unwrap_err(), PickleError::Damaged("a name is none"));
}

#[test]
fn more_values_than_any_job_has_are_refused() {
    let many = [vec![b'N'; MAX_VALUES + 1], b".".to_vec()].concat();
    assert_eq!(read(&many).unwrap_err(), PickleError::TooMany);
}

#[test]
fn what_is_damaged_is_an_error_and_never_a_panic() {
    for pickle in [
        &b"."[..],
        b"0.",
        b"1.",
        b"2.",
        b"(.",
        b"(0.",
        b"t.",
        b"e.",
        b"]e.",
        b"NNa.",
        b"Na.",
        b"K\x01K\x01s.",
        b"}(NuN.",
        b"(Nd.",
        b"h\x07.",
        b"g\n.",
        b"gx\n.",
        b"px\n.",
        b"q\x00.",
        b"Ix\n.",
        b"I\xff\n.",
        b"Lx\n.",
        b"F--\n.",
        b"Snope\n.",
        b"S'\\\n.",
        b"S'\\q'\n.",
        b"S'\\xZZ'\n.",
        b"V\\uD800\n.",
        b"V\\u12\n.",
        b"V\\UFFFFFFFF\n.",
        b"X\x01\x00\x00\x00\xff.",
        b"NR.",
        b"NNR.",
        b"(o.",
        b"Nb.",
        b"NNb.",
        b"\x80\x05N.",
        b"\x80\xff.",
        b"P1\n.",
        b"NQ.",
        b"\x82\x01.",
        b"\x96.",
        b"\xff.",
        b"N(.",
        b"\x86.",
        b"NN\x93.",
        b"N\x81.",
        b"NNN\x92.",
        b"N(a.",
        b"(K\x01(1s.",
    ] {
        assert!(read(pickle).is_err(), "{pickle:?}");
    }
}

#[test]
fn every_beginning_of_a_real_pickle_and_every_changed_byte_is_survived() {
    for name in ["python3-job2.pickle", "python3-protocol4.pickle", "python2-protocol0.pickle"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/import/pickles").join(name);
        let whole = fs::read(path).unwrap();
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{name} up to {end}");
            for byte in [0, b'(', b'.', b'R', b'e', 0x81, 0xff] {
                let mut changed = whole.clone();
                changed[end] = byte;
                drop(read(&changed));
            }
        }
    }
}
