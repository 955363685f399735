package txn

// KeepAtMost makes the manager's transactions remember fewer records whole.
func (m *Manager) KeepAtMost(n int) { m.keep = n }
