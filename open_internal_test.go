package stillpoint

import "testing"

func TestCredentialsHoldNoPlaceholders(t *testing.T) {
	t.Setenv("STILLPOINT_TEST", "replaced")
	const password = "a${env:STILLPOINT_TEST}$${b} ${c:-d}$"
	cfg, err := Properties{"scalar.db.storage": "jdbc", "scalar.db.contact_points": "jdbc:postgresql://localhost/bank"}.
		config(map[string]string{"scalar.db.username": literal("app"), "scalar.db.password": literal(password)})
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.Storages[0]; s.User != "app" || string(s.Password) != password {
		t.Errorf("user %q, password %q", s.User, string(s.Password))
	}
}
