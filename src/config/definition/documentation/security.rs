//! Documents the keys of TLS, SASL, delegation tokens and password encoding.

pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "authorizer.class.name",
        "The class that decides who may do what; empty for none, and everybody may do everything; not built yet.",
    ),
    (
        "connection.failed.authentication.delay.ms",
        "For how many milliseconds a connection stays open after its authentication has failed, which slows guessing down; must be below connections.max.idle.ms.",
    ),
    (
        "connections.max.reauth.ms",
        "For how many milliseconds a connection may be used before its client must authenticate again, 0 for as long as it likes.",
    ),
    (
        "delegation.token.expiry.check.interval.ms",
        "How often, in milliseconds, expired delegation tokens are deleted; not built yet.",
    ),
    (
        "delegation.token.expiry.time.ms",
        "For how many milliseconds a delegation token is valid before it must be renewed; not built yet.",
    ),
    (
        "delegation.token.master.key",
        "The former name of delegation.token.secret.key; not built yet.",
    ),
    (
        "delegation.token.max.lifetime.ms",
        "For how many milliseconds a delegation token can be renewed at all; not built yet.",
    ),
    (
        "delegation.token.secret.key",
        "The secret with which delegation tokens are signed and checked, the same on every broker; not built yet.",
    ),
    (
        "password.encoder.cipher.algorithm",
        "The cipher in which passwords are encoded that are set at run time.",
    ),
    (
        "password.encoder.iterations",
        "How often the key is hashed with which passwords are encoded that are set at run time.",
    ),
    (
        "password.encoder.key.length",
        "How many bits the key has with which passwords are encoded that are set at run time.",
    ),
    (
        "password.encoder.keyfactory.algorithm",
        "How the key is derived with which passwords are encoded that are set at run time.",
    ),
    (
        "password.encoder.old.secret",
        "The former password.encoder.secret, for passwords that are still encoded with it.",
    ),
    (
        "password.encoder.secret",
        "The secret from which the key is derived with which passwords are encoded that are set at run time.",
    ),
    (
        "principal.builder.class",
        "The class that says who a client is, by its certificate or its login; only Kafka's own can be used.",
    ),
    (
        "sasl.client.callback.handler.class",
        "The class that answers what SASL asks of the broker as a client of other brokers; not built yet.",
    ),
    (
        "sasl.enabled.mechanisms",
        "The SASL mechanisms by which clients may authenticate.",
    ),
    (
        "sasl.jaas.config",
        "The login of a SASL mechanism in the syntax of JAAS, with the prefix of its listener and mechanism.",
    ),
    (
        "sasl.kerberos.kinit.cmd",
        "The path of Kerberos' kinit; without effect.",
    ),
    (
        "sasl.kerberos.min.time.before.relogin",
        "How many milliseconds at least lie between two renewals of a Kerberos ticket; without effect.",
    ),
    (
        "sasl.kerberos.principal.to.local.rules",
        "Rules that make short names of Kerberos principals, the first that fits being used.",
    ),
    (
        "sasl.kerberos.service.name",
        "The name of the Kerberos principal under which brokers run.",
    ),
    (
        "sasl.kerberos.ticket.renew.jitter",
        "By which part, as a fraction, the moment of renewing a Kerberos ticket is varied at random; without effect.",
    ),
    (
        "sasl.kerberos.ticket.renew.window.factor",
        "After which part of its life, as a fraction, a Kerberos ticket is renewed; without effect.",
    ),
    (
        "sasl.login.callback.handler.class",
        "The class that answers what a SASL login asks.",
    ),
    ("sasl.login.class", "The class that logs in for SASL."),
    (
        "sasl.login.connect.timeout.ms",
        "For how many milliseconds a SASL login waits for the connection to its provider.",
    ),
    (
        "sasl.login.read.timeout.ms",
        "For how many milliseconds a SASL login waits for the answer of its provider.",
    ),
    (
        "sasl.login.refresh.buffer.seconds",
        "How many seconds before its end at the latest the credential of a SASL login is renewed; without effect.",
    ),
    (
        "sasl.login.refresh.min.period.seconds",
        "How many seconds at least lie between two renewals of the credential of a SASL login; without effect.",
    ),
    (
        "sasl.login.refresh.window.factor",
        "After which part of its life, as a fraction, the credential of a SASL login is renewed; without effect.",
    ),
    (
        "sasl.login.refresh.window.jitter",
        "By which part of its life, as a fraction, the renewal of the credential of a SASL login is varied at random; without effect.",
    ),
    (
        "sasl.login.retry.backoff.max.ms",
        "How many milliseconds pass at most between two tries of a SASL login.",
    ),
    (
        "sasl.login.retry.backoff.ms",
        "How many milliseconds pass before a SASL login is tried for the second time.",
    ),
    (
        "sasl.mechanism.controller.protocol",
        "The SASL mechanism with which KRaft brokers talk to their controllers; without effect in a ZooKeeper-mode broker.",
    ),
    (
        "sasl.mechanism.inter.broker.protocol",
        "The SASL mechanism with which brokers talk to each other.",
    ),
    (
        "sasl.oauthbearer.clock.skew.seconds",
        "By how many seconds the clocks of the broker and of the provider of OAuth tokens may differ.",
    ),
    (
        "sasl.oauthbearer.expected.audience",
        "For whom an OAuth token must be made out.",
    ),
    (
        "sasl.oauthbearer.expected.issuer",
        "By whom an OAuth token must be made out.",
    ),
    (
        "sasl.oauthbearer.jwks.endpoint.refresh.ms",
        "How often, in milliseconds, the keys are fetched with which OAuth tokens are checked.",
    ),
    (
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        "How many milliseconds pass at most before the keys for OAuth tokens are fetched again after a failure.",
    ),
    (
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        "How many milliseconds pass before the keys for OAuth tokens are fetched again after a first failure.",
    ),
    (
        "sasl.oauthbearer.jwks.endpoint.url",
        "The address of the keys with which OAuth tokens are checked.",
    ),
    (
        "sasl.oauthbearer.scope.claim.name",
        "The name of the claim of an OAuth token that holds its scope.",
    ),
    (
        "sasl.oauthbearer.sub.claim.name",
        "The name of the claim of an OAuth token that says who its bearer is.",
    ),
    (
        "sasl.oauthbearer.token.endpoint.url",
        "The address at which OAuth tokens are fetched.",
    ),
    (
        "sasl.server.callback.handler.class",
        "The class that answers what SASL asks of the broker as a server, with the prefix of its listener and mechanism.",
    ),
    (
        "sasl.server.max.receive.size",
        "How many bytes a message may have with which a client authenticates.",
    ),
    (
        "security.providers",
        "Classes that provide the JVM with security algorithms; not built yet.",
    ),
    (
        "ssl.allow.dn.changes",
        "Whether the name in a certificate may change when the keystore is replaced at run time.",
    ),
    (
        "ssl.allow.san.changes",
        "Whether the alternative names in a certificate may change when the keystore is replaced at run time.",
    ),
    (
        "ssl.cipher.suites",
        "The cipher suites that TLS may use, all that there are if it is empty.",
    ),
    (
        "ssl.client.auth",
        "Whether clients must (required), may (requested) or need not (none) show a certificate.",
    ),
    (
        "ssl.enabled.protocols",
        "The versions of TLS that connections may use.",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "How the name of a server is checked against its certificate: https does, the empty text does not.",
    ),
    (
        "ssl.engine.factory.class",
        "The class that makes TLS engines; not built yet.",
    ),
    ("ssl.key.password", "The password of the private key."),
    (
        "ssl.keymanager.algorithm",
        "How the JVM finds the key for a TLS connection.",
    ),
    (
        "ssl.keystore.certificate.chain",
        "The certificate and those that vouch for it, as PEM text in the setting itself.",
    ),
    (
        "ssl.keystore.key",
        "The private key, as PEM text in the setting itself.",
    ),
    (
        "ssl.keystore.location",
        "The file with the private key and its certificate.",
    ),
    (
        "ssl.keystore.password",
        "The password of the file with the private key.",
    ),
    (
        "ssl.keystore.type",
        "The format of the keystore: JKS, PKCS12 or PEM.",
    ),
    (
        "ssl.principal.mapping.rules",
        "Rules that make user names of the names in certificates, the first that fits being used.",
    ),
    ("ssl.protocol", "The version of TLS for which contexts are made."),
    ("ssl.provider", "The JVM's provider of TLS; not built yet."),
    (
        "ssl.secure.random.implementation",
        "The JVM's source of random numbers for TLS.",
    ),
    ("ssl.trustmanager.algorithm", "How the JVM decides whom to trust."),
    (
        "ssl.truststore.certificates",
        "The certificates that are trusted, as PEM text in the setting itself.",
    ),
    (
        "ssl.truststore.location",
        "The file with the certificates that are trusted.",
    ),
    (
        "ssl.truststore.password",
        "The password of the file with the certificates that are trusted.",
    ),
    (
        "ssl.truststore.type",
        "The format of the truststore: JKS, PKCS12 or PEM.",
    ),
];
