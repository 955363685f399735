package postgres

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// Parameters of pgjdbc that tune that driver and mean nothing here.
var tuning = []string{
	"adaptiveFetch", "adaptiveFetchMaximum", "adaptiveFetchMinimum", "allowEncodingChanges", "assumeMinServerVersion", "autosave",
	"binaryTransfer", "binaryTransferDisable", "binaryTransferEnable", "cancelSignalTimeout", "cleanupSavepoints", "convertBooleanToNumeric",
	"databaseMetadataCacheFields", "databaseMetadataCacheFieldsMiB", "defaultRowFetchSize", "disableColumnSanitiser", "escapeSyntaxCallMode",
	"groupStartupParameters", "hideUnprivilegedObjects", "hostRecheckSeconds", "includeThreadIdInLogging", "logServerErrorDetail", "logUnclosedConnections",
	"loggerFile", "loggerLevel", "maxResultBuffer", "maxSendBufferSize", "preferQueryMode", "prepareThreshold", "preparedStatementCacheQueries",
	"preparedStatementCacheSizeMiB", "queryTimeout", "quoteReturningIdentifiers", "rawKeyLogging", "readOnlyMode", "receiveBufferSize", "reWriteBatchedInserts",
	"sendBufferSize", "sslResponseTimeout", "stringtype", "tcpNoDelay", "unknownLength",
}

// Parameters that decide how a connection is secured and have no counterpart.
// Ignoring one could make a connection less safe than its user believes.
var security = map[string]string{
	"sslfactory":          "use sslmode, sslrootcert, sslcert and sslkey",
	"sslfactoryarg":       "use sslmode and sslrootcert",
	"sslhostnameverifier": "use sslmode=verify-full",
	"sslpasswordcallback": "use sslpassword",
	"socketFactory":       "connect directly, or through the vendor's proxy",
	"socketFactoryArg":    "connect directly, or through the vendor's proxy",
}

// read sorts the URL's parameters.
func (p *params) read() error {
	u := p.url.Params
	for _, k := range slices.Sorted(maps.Keys(u)) {
		if err := p.param(k, u[k]); err != nil {
			return err
		}
	}
	if _, given := u["sslmode"]; !given && p.driver["sslmode"] == "" {
		if v, given := u["ssl"]; given && !strings.EqualFold(v, "false") {
			p.driver["sslmode"] = "verify-full" // what pgjdbc takes ssl=true for
		}
	}
	return nil
}

func (p *params) param(k, v string) error {
	bad := func(want string) error {
		return model.Errorf(model.ErrBadArgument, "parameter %s of the JDBC URL must be %s", k, want)
	}
	switch k {
	case "user":
		p.user = v
	case "password":
		p.password = v
	case "ssl":
	case "sslmode":
		if !slices.Contains([]string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}, v) {
			return bad("disable, allow, prefer, require, verify-ca or verify-full")
		}
		p.driver[k] = v
	case "sslkey":
		if strings.HasSuffix(v, ".pk8") || strings.HasSuffix(v, ".p12") {
			return bad("a file in PEM format; convert it with openssl")
		}
		p.driver[k] = v
	case "sslrootcert", "sslcert", "sslpassword":
		p.driver[k] = v
	case "sslNegotiation":
		if v != "postgres" && v != "direct" {
			return bad("postgres or direct")
		}
		p.driver["sslnegotiation"] = v
	case "channelBinding":
		p.driver["channel_binding"] = v
	case "requireAuth":
		p.driver["require_auth"] = v
	case "gssEncMode":
		if v == "require" {
			return bad("left out: encryption by GSSAPI is not supported; use sslmode=verify-full")
		}
	case "ApplicationName":
		p.application = v
	case "connectTimeout", "loginTimeout":
		seconds, err := strconv.Atoi(v)
		if err != nil || seconds < 0 {
			return bad("a number of seconds")
		}
		if p.connectTimeout = time.Duration(seconds) * time.Second; seconds == 0 {
			p.connectTimeout = defaultConnectTimeout
		}
	case "tcpKeepAlive":
		p.keepAlive = !strings.EqualFold(v, "false")
	case "options":
		p.driver[k] = v
	case "currentSchema":
		p.server["search_path"] = v
	case "readOnly":
		if strings.EqualFold(v, "true") {
			p.server["default_transaction_read_only"] = "on"
		}
	case "targetServerType":
		return p.target(v)
	default:
		return p.other(k)
	}
	return nil
}

func (p *params) target(v string) error {
	attrs := map[string]string{"any": "any", "primary": "primary", "master": "primary", "secondary": "standby", "slave": "standby",
		"preferSecondary": "prefer-standby", "preferSlave": "prefer-standby", "preferPrimary": "any"}[v]
	if attrs == "" {
		return model.Errorf(model.ErrBadArgument, "parameter targetServerType of the JDBC URL must be any, primary, secondary, preferPrimary or preferSecondary")
	}
	p.driver["target_session_attrs"] = attrs
	return nil
}

func (p *params) other(k string) error {
	if slices.Contains(tuning, k) {
		p.log.Debug("parameter of the JDBC URL tunes another driver and is ignored", "parameter", k)
		return nil
	}
	if way, ok := security[k]; ok {
		return model.Errorf(model.ErrBadArgument, "parameter %s of the JDBC URL, which secures connections, cannot be honoured; %s", k, way)
	}
	if strings.HasPrefix(strings.ToLower(k), "ssl") {
		return model.Errorf(model.ErrBadArgument, "parameter %s of the JDBC URL looks like one that secures connections and is not known", k)
	}
	p.log.Warn("parameter of the JDBC URL is not supported and is ignored", "parameter", k)
	return nil
}
