use super::*;

const DATABASE: (&str, &str) = ("DATABASE_URL", "postgresql://main:s3cr3t-canary@db.example:5433/tpro");

const OWN: &[OwnSetting] = &[
    OwnSetting::text("EXAMPLE_PAUSE_MS", "200", "a pause"),
    OwnSetting::text("MAIL_PASSWORD", "", "a secret"),
];

fn load(environment: &[(&str, &str)], file: Option<&str>) -> Result<Config, Problems> {
    Config::from_layers("main", OWN, Layers::of(environment, file))
}

fn problems(environment: &[(&str, &str)], file: Option<&str>) -> Vec<String> {
    load(environment, file)
        .map(|_| Vec::new())
        .unwrap_or_else(|p| p.0.iter().map(ToString::to_string).collect())
}

#[test]
fn a_database_is_all_that_must_be_said() {
    let config = load(&[DATABASE], None).unwrap();
    assert_eq!((config.service.as_str(), config.version.as_str(), config.copy), ("main", "1.0", 1));
    assert_eq!(config.nats_urls, ["nats://127.0.0.1:4222"]);
    assert_eq!((config.otlp_endpoint, config.sampling), (None, Sampling::default()));
    assert_eq!(config.stop_timeout, Duration::from_secs(25));
    assert_eq!(config.limits.in_flight_bytes, 16 << 20);
    assert_eq!(config.dispatch.slow_poll, Some(Duration::from_secs(5)));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn the_printed_defaults_are_the_real_ones() {
    // Each default, said aloud, must give the same configuration as silence. (Silent pieces of the
    // database's address are not printed.)
    let lines = |config: &Config| -> Vec<String> {
        let lines = config.lines().filter(|line| !line.starts_with("PG"));
        lines.map(|line| line.split(" (").next().unwrap_or_default().to_owned()).collect()
    };
    let silent = load(&[DATABASE], None).unwrap();
    let aloud: Vec<(&str, &str)> = KEYS
        .iter()
        .filter(|key| !key.default.is_empty() && key.name != "ENV_FILE")
        .map(|key| (key.name, key.default))
        .chain([DATABASE])
        .collect();
    let aloud = load(&aloud, None).unwrap();
    assert_eq!(lines(&silent), lines(&aloud));
    let without = |config: &Config| {
        let mut config = config.clone();
        (config.settings, config.layers) = (Vec::new(), Arc::default());
        format!("{config:?}")
    };
    assert_eq!(without(&silent), without(&aloud));
}

#[test]
fn all_problems_are_said_at_once_with_key_source_value_and_remedy() {
    let file = "SERVICE_PORT=http\nNATS_URL=http://127.0.0.1\n\nOTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4317\n";
    let said =
        problems(&[("HANDLERS_MAX", "0"), ("LOG_FORMAT", "xml"), ("SERVICE_VERSION", "1 0")], Some(file));
    assert_eq!(said.len(), 7, "{said:#?}");
    let has = |start: &str| assert!(said.iter().any(|line| line.starts_with(start)), "{start}: {said:#?}");
    has("SERVICE_PORT=http (services/main/.env:1): must be a whole number from 0 to 65535");
    has("NATS_URL=http://127.0.0.1 (services/main/.env:2): must be one address or several");
    has("OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4317 (services/main/.env:4): TLS");
    has("HANDLERS_MAX=0 (environment): must be a whole number from 1 to 100000");
    has("LOG_FORMAT=xml (environment): must be text or json");
    has("SERVICE_VERSION=1 0 (environment): a version is");
    has("DATABASE_URL: not set; give the database as postgresql://");
}

#[test]
fn a_time_out_of_bounds_is_told_with_them_and_with_its_unit() {
    for (key, value, rule) in [
        ("STOP_TIMEOUT", "2h", "from 0ns to 3600s: seconds"),
        ("STOP_TIMEOUT", "3601", "from 0ns to 3600s: seconds"),
        ("PARK_AFTER_MS", "60001", "from 0ns to 60s: milliseconds"),
        ("ATTEMPT_TIMEOUT_MS", "49", "from 50ms to 3600s: milliseconds"),
    ] {
        let told = problems(&[DATABASE, (key, value)], None);
        let rule = format!("must be a time {rule}, or a number with ms, s, m, h or d");
        assert_eq!(told, [format!("{key}={value} (environment): {rule}")]);
    }
    for (key, value) in [("STOP_TIMEOUT", "3600"), ("PARK_AFTER_MS", "60s"), ("ATTEMPT_TIMEOUT_MS", "50")] {
        assert!(load(&[DATABASE, (key, value)], None).is_ok(), "{key}={value}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_an_empty_value_is_none() {
    let file = "COPY_NUMBER=2\nSERVICE_VERSION=2.73\nNATS_TOKEN=\n";
    let config = load(&[DATABASE, ("COPY_NUMBER", "3"), ("SERVICE_VERSION", "")], Some(file)).unwrap();
    assert_eq!((config.copy, config.version.as_str(), config.nats_login), (3, "2.73", NatsLogin::None));
}

#[test]
fn a_secret_in_the_file_is_taken_as_it_stands() {
    let file = "NATS_TOKEN=pa$$HOME${HOME}\\n#x # the token\nPGPASSWORD=' $x\"# '\nPGUSER=main\nSERVICE_VERSION=2.7 # next\n";
    let config = load(&[("PGHOST", "db"), ("PGDATABASE", "tpro")], Some(file)).unwrap();
    assert_eq!(config.nats_login, NatsLogin::Token(Secret::new("pa$$HOME${HOME}\\n#x")));
    assert_eq!(config.database.get_password(), Some(b" $x\"# ".as_slice()));
    assert_eq!(config.version, "2.7");
}

#[test]
fn a_service_link_of_kubernetes_is_no_setting() {
    let link = "tcp://10.0.0.1:80";
    let environment = [DATABASE, ("SERVICE_PORT", link), ("NATS_PORT", link), ("NATS_PORT_4222_TCP", link)];
    let config = load(&environment, Some("SERVICE_PORT=8090\n")).unwrap();
    assert_eq!(config.port, 8090);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(
        config.warnings[0].starts_with("SERVICE_PORT (environment) is a service link"),
        "{:?}",
        config.warnings
    );
}

#[test]
fn the_address_of_the_collector_is_shown_without_its_login() {
    let url = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cr3t-canary@collector:4317/?key=s3cr3t-canary");
    let config = load(&[DATABASE, url], None).unwrap();
    let printed = config.lines().collect::<Vec<_>>().join("\n");
    assert!(printed.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://***@collector:4317/?***"), "{printed}");
    assert!(!printed.contains("canary"), "{printed}");
    let said = problems(&[DATABASE, (url.0, "https://me:s3cr3t-canary@collector:4317")], None);
    assert!(said[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT=https://***@collector:4317"), "{said:?}");
}

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_known_one() {
    let file = "NATS_TOKN=x\nANYTHING=1\nEXAMPLE_PAUSE_MS=0\nEXAMPLE_PAUSE=3\n";
    let environment = [DATABASE, ("LOG_FILENAME", "x"), ("PATH", "/bin"), ("NATS_SERVICE_HOST", "10.0.0.1")];
    let config = load(&environment, Some(file)).unwrap();
    assert_eq!(
        config.warnings,
        [
            "ANYTHING (services/main/.env:2): this is not a setting",
            "EXAMPLE_PAUSE (services/main/.env:4): this is not a setting; did you mean EXAMPLE_PAUSE_MS?",
            "NATS_TOKN (services/main/.env:1): this is not a setting; did you mean NATS_TOKEN?",
            "LOG_FILENAME (environment): this is not a setting; did you mean LOG_FILE_NAME?",
        ]
    );
    assert_eq!((config.own("EXAMPLE_PAUSE_MS"), config.own("MAIL_PASSWORD")), (Some("0"), None));
    assert!(config.lines().any(|line| line == "EXAMPLE_PAUSE_MS=0 (services/main/.env:3)"));
}

#[test]
fn a_key_of_the_go_system_is_told_with_its_new_name() {
    let file = "URL_NATS=nats.example.org\nTOTAL_WAIT_NATS=9\nDB_PASSWORD=s3cr3t-canary\nMODE=local\n";
    let config = load(&[DATABASE], Some(file)).unwrap();
    assert_eq!(
        config.warnings,
        [
            "DB_PASSWORD (services/main/.env:3): this is not a setting; it is PGPASSWORD now",
            "MODE (services/main/.env:4): this is not a setting; the .env of the checkout has it, for RUNTIME=docker",
            "TOTAL_WAIT_NATS (services/main/.env:2): this is not a setting any more: a copy tries to connect for as long as it takes",
            "URL_NATS (services/main/.env:1): this is not a setting; it is NATS_URL now",
        ]
    );
}

#[test]
fn beside_a_problem_an_unknown_key_is_told_too() {
    let said = problems(&[], Some("DATABASE_ULR=postgresql://main@db.example/tpro\n"));
    let has = |start: &str| assert!(said.iter().any(|line| line.starts_with(start)), "{start}: {said:#?}");
    has("DATABASE_URL: not set");
    has("DATABASE_ULR (services/main/.env:1): this is not a setting; did you mean DATABASE_URL?");
}

#[test]
fn a_malformed_line_is_named_and_not_shown() {
    let said = problems(&[DATABASE], Some("SERVICE_PORT=1\nNATS_TOKEN s3cr3t-canary\nLOG_FORMAT=text\n"));
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with(".env (services/main/.env:2): a line is KEY=value"), "{said:?}");
    assert!(!said[0].contains("canary"));
}

#[test]
fn a_key_set_twice_is_a_warning_and_the_last_one_wins() {
    let config = load(&[DATABASE], Some("COPY_NUMBER=1\nCOPY_NUMBER=2\n")).unwrap();
    assert_eq!(config.copy, 2);
    assert!(config.warnings[0].contains("services/main/.env:2"), "{:?}", config.warnings);
}

#[test]
fn a_secret_is_never_printed() {
    let canary = "s3cr3t-canary";
    let environment = [DATABASE, ("NATS_TOKEN", canary), ("PGPASSWORD", canary)];
    let config = load(&environment, Some("MAIL_PASSWORD=s3cr3t-canary\n")).unwrap();
    let printed = config.lines().collect::<Vec<_>>().join("\n");
    assert!(printed.contains("DATABASE_URL=postgresql://main:***@db.example:5433/tpro"), "{printed}");
    assert!(printed.contains("NATS_TOKEN=***"), "{printed}");
    for text in [printed, format!("{config:?}"), format!("{config:#?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    // Nor when it is refused: whole, and in pieces that a parser could quote.
    for url in [
        "postgresql://main:s3cr3t-canary@db.example:port/tpro",
        "postgresql://main:pass s3cr3t-canary=1@db.example/tpro?s3cr3t-canary=1",
        "host=x password=a s3cr3t-canary=b",
        "postgresql://main:s3cr3t-canary@db.example/tpro?sslmode=require&sslcert=/none",
    ] {
        let said = problems(&[("DATABASE_URL", url)], None);
        assert_eq!(said.len(), 1, "{url}");
        assert!(said[0].starts_with("DATABASE_URL (environment): "), "{said:?}");
        assert!(!said[0].contains("canary"), "{said:?}");
    }
    let said = problems(&[DATABASE, ("NATS_URL", "nats://s3cr3t-canary@nats.example:4222")], None);
    assert!(said[0].starts_with("NATS_URL=nats://***@nats.example:4222 (environment)"), "{said:?}");
}

#[test]
fn the_database_may_be_given_in_pieces() {
    let environment =
        [("PGHOST", "db.example"), ("PGUSER", "main"), ("PGPASSWORD", "x"), ("PGDATABASE", "tpro")];
    let config = load(&environment, Some("PGPORT=5433\n")).unwrap();
    assert_eq!(config.database.get_ports(), [5433]);
    assert_eq!(config.database.get_password(), Some(b"x".as_slice()));
    // The URL wins, and the pieces fill in what it leaves out.
    let config =
        load(&[("DATABASE_URL", "postgresql://analytic@other/tpro"), environment[1], environment[2]], None)
            .unwrap();
    assert_eq!(config.database.get_user(), Some("analytic"));
    assert_eq!(config.database.get_password(), Some(b"x".as_slice()));
    assert_eq!(config.database.get_ports(), [5432]);
}

#[test]
fn of_several_hosts_only_the_primary_is_taken() {
    use tokio_postgres::config::TargetSessionAttrs;
    let several = load(&[("DATABASE_URL", "postgresql://main@one:1,two:2/tpro")], None).unwrap();
    assert_eq!(several.database.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    let one = load(&[DATABASE], None).unwrap();
    assert_eq!(one.database.get_target_session_attrs(), TargetSessionAttrs::Any);
}

#[test]
fn nats_takes_a_token_or_a_user_and_not_both() {
    let login = |more: &[(&str, &str)]| {
        let environment: Vec<_> = more.iter().copied().chain([DATABASE]).collect();
        load(&environment, None).map(|config| config.nats_login)
    };
    assert_eq!(login(&[("NATS_TOKEN", "t")]).unwrap(), NatsLogin::Token(Secret::new("t")));
    let user = [("NATS_USER", "u"), ("NATS_PASSWORD", "p")];
    assert_eq!(login(&user).unwrap(), NatsLogin::User("u".into(), Secret::new("p")));
    assert!(login(&user[..1]).is_err());
    assert!(login(&[user[0], user[1], ("NATS_TOKEN", "t")]).is_err());
}

#[test]
fn samplers_have_the_names_of_the_specification() {
    let sampler = |name: &str, arg: &str| {
        let environment = [DATABASE, ("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)];
        load(&environment, None).map(|config| config.sampling)
    };
    assert_eq!(sampler("always_off", "").unwrap(), Sampling { ratio: 0.0, parent_based: false });
    assert_eq!(sampler("traceidratio", "0.25").unwrap(), Sampling { ratio: 0.25, parent_based: false });
    assert_eq!(
        sampler("parentbased_traceidratio", "0.25").unwrap(),
        Sampling { ratio: 0.25, parent_based: true }
    );
    // The share is of no matter to the others.
    assert_eq!(sampler("parentbased_always_on", "0.25").unwrap(), Sampling::default());
    assert!(sampler("jaeger_remote", "").is_err());
    assert!(sampler("traceidratio", "2").is_err());
}

#[test]
fn the_program_of_another_service_is_refused() {
    assert_eq!(problems(&[DATABASE, ("SERVICE_NAME", "analytic")], None).len(), 1);
    assert!(problems(&[DATABASE, ("SERVICE_NAME", "main")], None).is_empty());
    // One program is that of any service.
    let any = |environment: &[(&str, &str)]| Config::from_layers(ANY, &[], Layers::of(environment, None));
    assert_eq!(any(&[DATABASE, ("SERVICE_NAME", "shop")]).unwrap().service.as_str(), "shop");
    for environment in [&[DATABASE][..], &[DATABASE, ("SERVICE_NAME", "Shop")]] {
        assert_eq!(any(environment).unwrap_err().0.len(), 1);
    }
    assert_eq!(Config::from_layers("Main", OWN, Layers::of(&[DATABASE], None)).unwrap_err().0.len(), 1);
}

#[test]
fn a_value_that_is_shown_is_short_and_on_one_line() {
    let long = format!("a\nb{}", "x".repeat(1000));
    let said = problems(&[DATABASE, ("SERVICE_VERSION", &long)], None);
    assert!(said[0].len() < 300 && !said[0].contains('\n'), "{said:?}");
}

/// The settings of a service, as the derive macro writes them.
#[derive(Debug)]
struct Own {
    retries: u8,
    gateway: Option<String>,
    door: Secret,
}

impl Settings for Own {
    fn declared() -> Vec<OwnSetting> {
        vec![
            OwnSetting::of::<u8>("RETRIES", "3", "tries", false),
            OwnSetting::of::<Option<String>>("GATEWAY", "", "a gateway", false),
            OwnSetting::of::<Secret>("DOOR", "", "the code of the door", true),
        ]
    }

    fn read(text: &dyn Fn(&str) -> String) -> Result<Self, String> {
        Ok(Self {
            retries: OwnSetting::value(&text("RETRIES"))?,
            gateway: OwnSetting::value(&text("GATEWAY"))?,
            door: OwnSetting::value(&text("DOOR"))?,
        })
    }
}

#[test]
fn settings_of_a_type_are_checked_with_all_others_and_secrets_are_not_shown() {
    let load = |environment: &[(&str, &str)]| {
        Config::from_layers("main", &Own::declared(), Layers::of(environment, None))
    };
    let config = load(&[DATABASE, ("DOOR", "s3cr3t-canary")]).unwrap();
    let own: Own = config.settings().unwrap();
    assert_eq!((own.retries, own.gateway.as_deref(), own.door.expose()), (3, None, "s3cr3t-canary"));
    let printed = config.lines().collect::<Vec<_>>().join("\n");
    assert!(
        printed.contains("RETRIES=3 (default)") && printed.contains("DOOR=*** (environment)"),
        "{printed}"
    );
    assert!(!printed.contains("canary") && !format!("{own:?}").contains("canary"));
    let said = load(&[("RETRIES", "many")]).unwrap_err().to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(said.contains("DATABASE_URL: not set"), "{said}");
    assert!(lines.contains(&"RETRIES=many (environment): must be a whole number from 0 to 255"), "{said}");
    assert!(lines.contains(&"DOOR: not set: must be set (the code of the door)"), "{said}");
}

#[test]
fn a_rule_that_repeats_a_secret_is_not_shown() {
    fn echo(text: &str) -> Result<(), String> {
        Err(format!("no door has the code {text}"))
    }
    let own = [OwnSetting { check: echo, is_secret: true, ..OwnSetting::text("DOOR", "", "a code") }];
    let environment = [DATABASE, ("DOOR", "s3cr3t-canary")];
    let said = Config::from_layers("main", &own, Layers::of(&environment, None)).unwrap_err().to_string();
    assert_eq!(said, "DOOR (environment): the value breaks the rule of this setting");
}
