//! Owns the checks of the addresses in settings. Kafka 3.9: `ConfigurationUtils`.

use crate::config::SystemProperties;
use crate::security::sasl::error::SaslSetupError;

/// The system property that, if it is set, lists the addresses that may be used.
const ALLOWED_URLS: &str = "org.apache.kafka.sasl.oauthbearer.allowed.urls";

/// The address of a setting, if it is one that can be asked.
pub fn check_url<'a>(
    key: &str,
    url: Option<&'a str>,
    properties: &SystemProperties,
) -> Result<&'a str, SaslSetupError> {
    let option = format!("The OAuth configuration option {key}");
    let error = |text: String| Err(SaslSetupError::new(format!("{option} {text}")));
    let Some(url) = url.map(str::trim) else {
        return error("value must be non-null".to_owned());
    };
    if url.is_empty() {
        return error("value must not contain only whitespace".to_owned());
    }
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        None => {
            return error(format!(
                "contains a URL ({url}) that is malformed: no protocol: {url}"
            ));
        }
        Some("http" | "https" | "file") => {}
        Some(scheme) => {
            return error(format!(
                "contains a URL ({url}) that contains an invalid protocol ({scheme}); only \"http\", \"https\", and \
                 \"file\" protocol are supported"
            ));
        }
    }
    if let Some(allowed) = properties.get(ALLOWED_URLS)
        && !allowed.split(',').any(|allowed| allowed.trim() == url)
    {
        return Err(SaslSetupError::new(format!(
            "{url} is not allowed. Update system property '{ALLOWED_URLS}' to allow {url}"
        )));
    }
    Ok(url)
}

/// The address of the keys.
pub fn check_jwks_url<'a>(
    url: Option<&'a str>,
    properties: &SystemProperties,
) -> Result<&'a str, SaslSetupError> {
    check_url("sasl.oauthbearer.jwks.endpoint.url", url, properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_asked_are_taken() {
        let none = SystemProperties::default();
        for (url, message) in [
            (None, "value must be non-null"),
            (Some(" "), "value must not contain only whitespace"),
            (Some("x"), "contains a URL (x) that is malformed: no protocol: x"),
            (
                Some("FTP://x"),
                "contains a URL (FTP://x) that contains an invalid protocol (ftp); only \"http\", \"https\", and \
                 \"file\" protocol are supported",
            ),
        ] {
            let error = check_url("k", url, &none).expect_err(message);
            assert_eq!(
                error.to_string(),
                format!("The OAuth configuration option k {message}")
            );
        }
        assert_eq!(check_jwks_url(Some(" https://x "), &none), Ok("https://x"));
    }

    #[test]
    fn addresses_may_be_restricted() {
        let properties =
            SystemProperties::parse("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=http://a,http://b");
        assert!(check_url("k", Some("http://b"), &properties).is_ok());
        assert!(check_url("k", Some("http://c"), &properties).is_err());
    }
}
