// Package restore puts a backup back into databases: a written plan, executed
// step by step with a journal, and resumed by running it again.
//
//	plan, err := restore.Make(ctx, opts)     // looks, and changes nothing
//	report, err := restore.Run(ctx, opts)    // makes the plan, or goes on with the one under way
//
// See DESIGN.md beside this file for what clients see meanwhile, what a kill at
// any point leaves behind, and why the steps come in this order.
package restore
