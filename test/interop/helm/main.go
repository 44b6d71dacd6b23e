// Owns reading a Helm chart as Helm does: lints it, renders it with the values of standard input (YAML), and decodes what comes
// out strictly into the types of Kubernetes and of the Prometheus operator. Prints the objects as JSON, or why it fails.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/releaseutil"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// types makes an empty object of each kind whose types are at hand.
var types = map[string]func() any{
	"v1/Service":                              func() any { return &core.Service{} },
	"v1/Secret":                               func() any { return &core.Secret{} },
	"apps/v1/StatefulSet":                     func() any { return &apps.StatefulSet{} },
	"policy/v1/PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
}

func main() {
	log.SetFlags(0)
	folder := os.Args[1]
	input, err := io.ReadAll(os.Stdin)
	must(err)
	values := map[string]any{}
	must(yaml.Unmarshal(input, &values))

	for _, message := range lint.All(folder, values, "default", true).Messages {
		if message.Severity >= support.WarningSev {
			log.Fatal(message)
		}
	}
	chart, err := loader.Load(folder)
	must(err)
	options := chartutil.ReleaseOptions{Name: "release", Namespace: "default", IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, options, chartutil.DefaultCapabilities)
	must(err)
	files, err := engine.Render(chart, all)
	must(err)

	names := make([]string, 0, len(files))
	for name := range files {
		if strings.HasSuffix(name, ".yaml") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	objects := []map[string]any{}
	for _, name := range names {
		documents := releaseutil.SplitManifests(files[name])
		for _, document := range documents {
			var object map[string]any
			must(yaml.UnmarshalStrict([]byte(document), &object))
			if object == nil {
				continue
			}
			kind := fmt.Sprintf("%v/%v", object["apiVersion"], object["kind"])
			if make, known := types[kind]; known {
				if err := yaml.UnmarshalStrict([]byte(document), make()); err != nil {
					log.Fatalf("%s: %s: %v", name, kind, err)
				}
			}
			objects = append(objects, object)
		}
	}
	output, err := json.Marshal(objects)
	must(err)
	fmt.Println(string(output))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
