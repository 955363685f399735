//go:build servers

package mysql

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stillpoint-db/stillpoint/internal/testenv"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage"
)

// certificates writes an authority and a server's certificate for 127.0.0.1.
func certificates(t *testing.T) (dir string) {
	t.Helper()
	dir, err := testenv.TempDir("stillpoint-tls-", "mysql")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	make := func(name string, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".pem", "CERTIFICATE", der)
		der, err = x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".key", "EC PRIVATE KEY", der)
		return key
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	}
	root := ca("root")
	rootKey := make("ca", root, root, nil)
	other := ca("somebody else")
	make("other", other, other, nil)
	make("server", &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "db"}, NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, root, rootKey)
	return dir
}

func TestTLSIsAsStrictAsTheURLAsks(t *testing.T) {
	dir := certificates(t)
	server := testenv.NewMariaDB(t, testenv.MariaDBOptions{Flags: []string{"--ssl-ca=" + dir + "/ca.pem", "--ssl-cert=" + dir + "/server.pem", "--ssl-key=" + dir + "/server.key"}})
	named := strings.Replace(server.Addr(), "127.0.0.1", "localhost", 1) // the certificate is for the address
	ctx := context.Background()
	for _, c := range []struct {
		addr, params string
		encrypted    bool
		fails        string
	}{
		{server.Addr(), "", false, ""},
		{server.Addr(), "sslMode=trust", true, ""},
		{server.Addr(), "sslMode=preferred", true, ""},
		{server.Addr(), "sslMode=verify-full&serverSslCert=" + dir + "/ca.pem", true, ""},
		{server.Addr(), "sslMode=verify-full&serverSslCert=" + dir + "/other.pem", false, "certificate"},
		{server.Addr(), "sslMode=verify-full", false, "certificate"},
		{named, "sslMode=verify-full&serverSslCert=" + dir + "/ca.pem", false, "certificate"},
		{named, "sslMode=verify-ca&serverSslCert=" + dir + "/ca.pem", true, ""},
		{named, "sslMode=verify-ca&serverSslCert=" + dir + "/other.pem", false, "certificate"},
	} {
		s, err := Open(ctx, storage.Config{Name: "db", URL: "jdbc:mariadb://" + c.addr + "/?" + c.params, User: testenv.MariaDBUser, Password: testenv.MariaDBPassword})
		if c.fails != "" {
			if !errors.Is(err, model.ErrUnavailable) || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s %s: %v", c.addr, c.params, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", c.addr, c.params, err)
			continue
		}
		ses, err := s.lend(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := ses.strings(ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		if err != nil || (rows[0][1] != "") != c.encrypted {
			t.Errorf("%s %s: cipher %q, %v", c.addr, c.params, rows, err)
		}
		s.giveBack(ctx, ses)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
