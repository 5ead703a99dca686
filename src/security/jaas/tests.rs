//! Tests of JAAS texts: what Kafka's own parser was seen to do, Java's file form, and any text at all.

use proptest::prelude::*;

use super::*;

fn options(text: &str) -> Vec<(String, String)> {
    let module = parse_property(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let options = module.options.into_iter();
    options
        .map(|(key, value)| (key, value.expose().to_owned()))
        .collect()
}

#[track_caller]
fn taken(text: &str, expected: &[(&str, &str)]) {
    let found = options(text);
    let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn the_property_form_is_read_as_kafka_reads_it() {
    taken(
        r#"a.B required x="y z" u='single';"#,
        &[("u", "single"), ("x", "y z")],
    );
    taken(r#"a.B required k = "v" ;"#, &[("k", "v")]);
    taken(
        r#"a.B required "user_al ice"="x" 'it'=w.o-r_d$1;"#,
        &[("it", "w.o-r_d$1"), ("user_al ice", "x")],
    );
    taken(r#"a.B required k="";"#, &[("k", "")]);
    taken(r#"a.B required user_a="x" user_a="y";"#, &[("user_a", "y")]);
    taken(
        r#"a.B required k="a=b;c" l="\101\n\t\\\"\x" m='"' n="\4012";"#,
        &[("k", "a=b;c"), ("l", "A\n\t\\\"x"), ("m", "\""), ("n", " 12")],
    );
    taken(
        "a.B required // one\n /* two ; \n * */ k=\"//v\" /* three */;",
        &[("k", "//v")],
    );
    taken(
        "a.B required user_\u{fc}\u{1f600}=\u{e4};",
        &[("user_\u{fc}\u{1f600}", "\u{e4}")],
    );
    taken("a.B\n\trequired\r\n k=v\n;", &[("k", "v")]);
    // A string that is not closed ends with its line.
    taken("a.B required k=\"abc\n;", &[("k", "abc")]);
    taken("a.B required;", &[]);
}

#[test]
fn class_and_flag_are_read() {
    for (word, flag) in [
        ("required", ControlFlag::Required),
        ("REQUISITE", ControlFlag::Requisite),
        ("Sufficient", ControlFlag::Sufficient),
        ("optional", ControlFlag::Optional),
    ] {
        let module = parse_property(&format!("org.Some-Module$1 {word};")).expect("it is well formed");
        assert_eq!((module.class.as_str(), module.flag), ("org.Some-Module$1", flag));
    }
}

#[test]
fn wrong_properties_are_refused_with_kafkas_messages() {
    let value = |key: &str| format!("Value not specified for key '{key}' in JAAS config");
    let no_end = "JAAS config entry not terminated by semi-colon".to_owned();
    for (text, message) in [
        (r#"a.B required user_"alice"="x";"#, value("user_")),
        ("a.B required k=;", value("k")),
        ("a.B required k=123;", value("k")),
        ("a.B required k=-;", value("k")),
        (r#"a.B required user_d@e="1";"#, value("user_d")),
        ("a.B required k", value("k")),
        ("a.B required k=", value("k")),
        ("a.B required k=a/b;", no_end.clone()),
        ("a.B required # comment\n k=v;", value("null")),
        (r#"a.B required k="v""#, no_end.clone()),
        ("a.B required", no_end),
        (
            "a.B wrong k=v;",
            "Invalid login module control flag 'wrong' in JAAS config".to_owned(),
        ),
        (
            "a.B",
            "Login module control flag not specified in JAAS config".to_owned(),
        ),
        (
            "KafkaServer { a.B required; };",
            "Login module control flag is not available in the JAAS config".to_owned(),
        ),
        ("", "Login module not specified in JAAS config".to_owned()),
        (
            " // nothing",
            "Login module not specified in JAAS config".to_owned(),
        ),
        (
            "a.B required; c.D optional;",
            "JAAS config property contains 2 login modules, should be 1 module".to_owned(),
        ),
    ] {
        assert_eq!(
            parse_property(text).expect_err(text).to_string(),
            message,
            "{text}"
        );
    }
}

const FILE: &str = r#"
// Of all listeners.
KafkaServer {
  org.apache.kafka.common.security.plain.PlainLoginModule required
    username="admin" password="${secret}" home="${/}etc${/}x" kept="${{a}}b$"
    user_alice="alice-secret";
  org.apache.kafka.common.security.scram.ScramLoginModule OPTIONAL;
};
inter.KafkaServer { a.B required k=v; };
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka" password="zk"; };
"#;

#[test]
fn the_file_form_has_sections() {
    let properties = SystemProperties::parse("-Dsecret=s3");
    let file = JaasFile::parse(FILE, &properties).expect("it is well formed");
    let server = file.section("KafkaServer").expect("the section is there");
    assert_eq!(server.len(), 2);
    assert_eq!(server[0].option("password"), Some("s3"));
    assert_eq!(server[0].option("home"), Some("/etc/x"));
    assert_eq!(server[0].option("kept"), Some("${{a}}b$"));
    assert_eq!(server[1].flag, ControlFlag::Optional);
    let client = file.section("Client").expect("the section is there");
    assert_eq!(client[0].option("username"), Some("kafka"));
    assert_eq!(file.section("KafkaClient"), None);
}

#[test]
fn wrong_files_are_refused() {
    let none = SystemProperties::default();
    for (text, message) in [
        (
            "KafkaServer { a.B required; }",
            "expected [;], read [end of file]",
        ),
        (
            "KafkaServer {\n a.B required k=1; };",
            "Line 2: expected [option value]",
        ),
        (
            "KafkaServer { a.B required k='v'; };",
            "Line 1: expected [option value]",
        ),
        ("KafkaServer { a.B wrong; };", "Invalid control flag, WRONG"),
        ("a.B required;", "Line 1: expected [{]"),
        ("A { };\nA { };", "Can not specify multiple entries for A"),
        (
            "A { a.B required k=\"${x}\"; };",
            "Line 1: unable to expand a system property",
        ),
    ] {
        let error = JaasFile::parse(text, &none).expect_err(text).to_string();
        assert_eq!(error, format!("Configuration Error: {message}"), "{text}");
    }
    let error = JaasFile::load(Path::new("/no/such/jaas.conf"), &none).expect_err("no file");
    assert_eq!(
        error.to_string(),
        "/no/such/jaas.conf (No such file or directory)"
    );
}

#[test]
fn a_listener_finds_its_own_text_first() {
    let properties = SystemProperties::parse("-Dsecret=x");
    let file = JaasFile::parse(FILE, &properties).expect("it is well formed");
    let class = |listener: &str, property: Option<&Password>| {
        let context = JaasContext::load_server(listener, property, Some(&file), &properties);
        context.expect("there is one").modules()[0].class.clone()
    };
    let property = Password::new("c.D required;");
    assert_eq!(class("INTER", Some(&property)), "c.D");
    // The section of a listener hides that of all.
    assert_eq!(class("INTER", None), "a.B");
    assert!(class("CLIENT", None).ends_with("PlainLoginModule"));
}

#[test]
fn a_listener_without_a_text_is_refused() {
    let message = "Could not find a 'KafkaServer' or 'sasl_plaintext.KafkaServer' entry in the JAAS configuration. \
                   System property 'java.security.auth.login.config' is ";
    let error = |file: Option<&JaasFile>, properties: &str| {
        let properties = SystemProperties::parse(properties);
        let context = JaasContext::load_server("SASL_PLAINTEXT", None, file, &properties);
        context.expect_err("there is none").to_string()
    };
    assert_eq!(error(None, ""), format!("{message}not set"));
    let set = "-Djava.security.auth.login.config=/etc/jaas.conf";
    assert_eq!(
        error(Some(&JaasFile::default()), set),
        format!("{message}/etc/jaas.conf")
    );
}

#[test]
fn the_configured_file_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jaas.conf");
    std::fs::write(&path, "Client { a.B required; };").expect("the file is written");
    for prefix in ["", "=", "file:"] {
        let option = format!("-D{LOGIN_CONFIG_PROPERTY}={prefix}{}", path.display());
        let file = JaasFile::configured(&SystemProperties::parse(&option)).expect("the file is read");
        assert!(file.is_some_and(|file| file.section("Client").is_some()));
    }
    assert_eq!(JaasFile::configured(&SystemProperties::default()), Ok(None));
}

#[test]
fn secrets_are_not_shown() {
    let module = parse_property("a.B required password=\"hunter2\";").expect("it is well formed");
    let shown = format!("{module:?}");
    assert!(
        shown.contains("password") && !shown.contains("hunter2"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r#"([a-z.]{0,3}|[ \n={};"'\\/*$0-9@-]|required|\PC){0,40}"#) {
        let _ = parse_property(&text);
        let _ = JaasFile::parse(&text, &SystemProperties::parse("-Da=b"));
    }

    #[test]
    fn what_is_quoted_is_read_back(value in any::<String>()) {
        let escaped: String = value
            .chars()
            .flat_map(|c| match c {
                '\n' => vec!['\\', 'n'],
                '\r' => vec!['\\', 'r'],
                '"' | '\\' => vec!['\\', c],
                _ => vec![c],
            })
            .collect();
        let module = parse_property(&format!("a.B required k=\"{escaped}\";")).expect("it is well formed");
        prop_assert_eq!(module.option("k"), Some(value.as_str()));
    }
}
