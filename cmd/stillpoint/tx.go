package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stillpoint-db/stillpoint/config"
	"github.com/stillpoint-db/stillpoint/model"
	"github.com/stillpoint-db/stillpoint/storage/multi"
	"github.com/stillpoint-db/stillpoint/txn"
	"github.com/stillpoint-db/stillpoint/txn/record"
)

func txCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "tx",
		Short: "Ask about single transactions",
	}
	c.AddCommand(&cobra.Command{
		Use:   "state ID",
		Short: "Tell what became of a transaction",
		Long: `Tell what became of a transaction, as the Coordinator's table knows it: committed
and aborted are final. Undecided is not: the transaction may be under way, may
have written nothing, or may have been committed in one step, which leaves no row
there. The exit code is then 3.

` + exitHelp(0, 1, 3, 5, 64),
		Example: `  stillpoint tx state 0d9e7a52-4f0b-4a3c-9d6b-2f1f6d1c8a11 --config prod.properties`,
		Args:    oneID,
		RunE:    a.do(func(ctx context.Context, args []string) error { return a.txState(ctx, args[0]) }),
	})
	return c
}

// txResult is the result of tx state.
type txResult struct {
	ID    string     `json:"id"`
	State string     `json:"state"` // committed, aborted or undecided
	At    *time.Time `json:"at,omitempty"`
}

func (a *app) txState(ctx context.Context, id string) error {
	return a.managed(ctx, func(m *txn.Manager, _ *config.Config, _ *multi.Set) error {
		d, err := m.State(ctx, id)
		if err != nil {
			return err
		}
		r := txResult{ID: id, State: "undecided"}
		switch d.State {
		case record.Committed:
			r.State = "committed"
		case record.Aborted:
			r.State = "aborted"
		}
		if d.At > 0 {
			at := time.UnixMilli(d.At).UTC()
			r.At = &at
		}
		a.emit(r, func(w io.Writer) {
			if r.At != nil {
				fmt.Fprintf(w, "%s %s at %s\n", id, r.State, r.At.Format("2006-01-02T15:04:05.000Z"))
			} else {
				fmt.Fprintf(w, "%s %s\n", id, r.State)
			}
		})
		if d.State != record.Committed && d.State != record.Aborted {
			return &model.Error{Class: errPending, Op: "ask for transaction", Subject: id, TxID: id,
				Detail: "the Coordinator's table does not know it",
				Hint:   "If it wrote to several databases it is settled at the latest when another transaction meets its records; stillpoint recover does that at once"}
		}
		return nil
	})
}

func oneID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("one transaction id is needed, not %d: stillpoint tx state ID", len(args))
	}
	return nil
}
