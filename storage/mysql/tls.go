package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/stillpoint-db/stillpoint/model"
)

// tlsParameters are those of both Connectors/J that have to do with TLS or with
// how a password is sent. In lower case.
var tlsParameters = []string{
	"usessl", "requiressl", "sslmode", "verifyservercertificate", "trustservercertificate", "disablesslhostnameverification",
	"serversslcert", "tlsversions", "enabledtlsprotocols", "enabledsslprotocolsuites", "tlsciphersuites", "enabledsslciphersuites",
	"truststore", "truststorepassword", "truststoretype", "keystore", "keystorepassword", "keystoretype", "keypassword",
	"trustcertificatekeystoreurl", "trustcertificatekeystorepassword", "trustcertificatekeystoretype",
	"clientcertificatekeystoreurl", "clientcertificatekeystorepassword", "clientcertificatekeystoretype", "fallbacktosystemtruststore",
	"fallbacktosystemkeystore", "allowpublickeyretrieval", "serverrsapublickeyfile", "servercertificate", "sslcert", "sslkey", "sslca",
}

func tlsParameter(name string) bool { return slices.Contains(tlsParameters, name) }

// How strictly a server must prove itself.
type tlsMode int

const (
	tlsOff tlsMode = iota
	tlsPreferred
	tlsTrust      // encrypted, any certificate
	tlsVerifyCA   // a certificate of a known authority, for any name
	tlsVerifyFull // a certificate of a known authority, for this host
)

var tlsModes = map[string]tlsMode{
	"disable": tlsOff, "disabled": tlsOff, "false": tlsOff, "0": tlsOff,
	"preferred": tlsPreferred, "trust": tlsTrust, "required": tlsTrust,
	"verify-ca": tlsVerifyCA, "verify_ca": tlsVerifyCA,
	"verify-full": tlsVerifyFull, "verify_full": tlsVerifyFull, "verify-identity": tlsVerifyFull, "verify_identity": tlsVerifyFull,
	"true": tlsVerifyFull, "1": tlsVerifyFull,
}

// tls maps the parameters about TLS. What cannot be honoured is an error:
// nobody should be less safe than they asked to be.
func (t *target) tls(params map[string]string) error {
	mode, config := tlsOff, &tls.Config{MinVersion: minTLS}
	if v, ok := params["sslmode"]; ok {
		if mode, ok = tlsModes[strings.ToLower(v)]; !ok {
			return model.Errorf(model.ErrBadArgument, "parameter sslMode is %q; use disable, trust, verify-ca or verify-full", v)
		}
	} else if err := t.oldTLSMode(params, &mode); err != nil {
		return err
	}
	for name, value := range params {
		switch name {
		case "sslmode", "usessl", "requiressl", "verifyservercertificate", "trustservercertificate", "disablesslhostnameverification":
		case "serversslcert":
			pool, err := readAuthorities(value)
			if err != nil {
				return err
			}
			config.RootCAs = pool
		case "tlsversions", "enabledtlsprotocols", "enabledsslprotocolsuites":
			if err := setVersions(config, value); err != nil {
				return err
			}
		case "fallbacktosystemtruststore":
			on, err := truth(name, value)
			if err != nil {
				return err
			}
			if _, given := params["serversslcert"]; !on && !given && mode >= tlsVerifyCA {
				return model.Errorf(model.ErrBadArgument, "parameter fallbackToSystemTrustStore forbids the system's authorities and there are no others; name a PEM file in serverSslCert")
			}
		case "allowpublickeyretrieval":
			on, err := truth(name, value)
			if err != nil {
				return err
			}
			if !on && mode < tlsTrust {
				return &model.Error{Class: model.ErrBadArgument, Detail: "parameter allowPublicKeyRetrieval=false cannot be honoured without TLS: a key that a login needs is asked of the server",
					Hint: "Encrypt the connection (sslMode=verify-full) or leave the parameter out."}
			}
		case "fallbacktosystemkeystore":
			// The system's authorities are trusted unless serverSslCert is given.
		default:
			return &model.Error{Class: model.ErrBadArgument, Detail: "parameter " + name + " about TLS cannot be honoured here",
				Hint: "Authorities are read from PEM files: serverSslCert=/path/to/ca.pem."}
		}
	}
	return t.setTLS(mode, config)
}

func (t *target) oldTLSMode(params map[string]string, mode *tlsMode) error {
	flag := func(name string) (bool, bool, error) {
		v, ok := params[name]
		if !ok {
			return false, false, nil
		}
		on, err := truth(name, v)
		return on, true, err
	}
	var errs []error
	get := func(name string) (on, given bool) {
		on, given, err := flag(name)
		errs = append(errs, err)
		return on, given
	}
	use, _ := get("usessl")
	require, _ := get("requiressl")
	verify, verifyGiven := get("verifyservercertificate")
	trust, _ := get("trustservercertificate")
	anyHost, _ := get("disablesslhostnameverification")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	switch {
	case !use && !require:
		*mode = tlsOff
	case trust, verifyGiven && !verify:
		*mode = tlsTrust
	case anyHost:
		*mode = tlsVerifyCA
	default:
		*mode = tlsVerifyFull
	}
	return nil
}

func (t *target) setTLS(mode tlsMode, config *tls.Config) error {
	host := t.config.Addr
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = strings.Trim(host[:i], "[]")
	}
	config.ServerName = host
	switch mode {
	case tlsOff:
		return nil
	case tlsPreferred:
		t.config.AllowFallbackToPlaintext = true
		config.InsecureSkipVerify = true
	case tlsTrust:
		config.InsecureSkipVerify = true
	case tlsVerifyCA:
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(cs tls.ConnectionState) error { return verifyAuthority(cs, config.RootCAs) }
	}
	t.config.TLS = config
	return nil
}

// verifyAuthority checks the chain of certificates without the host name.
func verifyAuthority(cs tls.ConnectionState, roots *x509.CertPool) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(opts)
	return err
}

func readAuthorities(value string) (*x509.CertPool, error) {
	if strings.HasPrefix(value, "classpath:") {
		return nil, model.Errorf(model.ErrBadArgument, "parameter serverSslCert names a Java class path; name a PEM file")
	}
	pem := []byte(value)
	if !strings.HasPrefix(strings.TrimSpace(value), "-----BEGIN") {
		var err error
		if pem, err = os.ReadFile(strings.TrimPrefix(value, "file://")); err != nil {
			return nil, model.Errorf(model.ErrBadArgument, "parameter serverSslCert: %w", err)
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, model.Errorf(model.ErrBadArgument, "parameter serverSslCert: no certificate in PEM form is there")
	}
	return pool, nil
}

func setVersions(config *tls.Config, value string) error {
	config.MinVersion, config.MaxVersion = 0, 0
	for v := range strings.SplitSeq(value, ",") {
		n, ok := map[string]uint16{"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}[strings.ToLower(strings.TrimSpace(v))]
		if !ok {
			return model.Errorf(model.ErrBadArgument, "TLS version %q is not supported; TLSv1.2 and TLSv1.3 are", strings.TrimSpace(v))
		}
		if config.MinVersion == 0 || n < config.MinVersion {
			config.MinVersion = n
		}
		config.MaxVersion = max(config.MaxVersion, n)
	}
	return nil
}
