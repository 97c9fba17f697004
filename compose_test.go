package house

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// interpolated finds ${NAME:?why}, the only form in which a secret may stand in the compose file.
var interpolated = regexp.MustCompile(`\$\{([A-Z0-9_]+)([^}]*)\}`)

func loadCompose(t *testing.T, env map[string]string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"docker-compose.yml"}, cli.WithWorkingDirectory("."), cli.WithName("tartan"))
	require.NoError(t, err)
	options.Environment = types.NewMapping(nil)
	for k, v := range env {
		options.Environment[k] = v
	}
	return options.LoadProject(context.Background())
}

// required is every variable that the file demands, each with a value that can be found again.
func required(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("docker-compose.yml")
	require.NoError(t, err)
	env := map[string]string{}
	for _, m := range interpolated.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(m[2], ":?") {
			env[m[1]] = "value-of-" + m[1]
		}
	}
	return env
}

func TestComposeDemandsEverySecret(t *testing.T) {
	env := required(t)
	require.NotEmpty(t, env)
	for name := range env {
		without := map[string]string{}
		for k, v := range env {
			if k != name {
				without[k] = v
			}
		}
		_, err := loadCompose(t, without)
		require.ErrorContains(t, err, name, "the file loads without %s", name)
	}
}

func TestComposeHasNoDefaultSecret(t *testing.T) {
	project, err := loadCompose(t, required(t))
	require.NoError(t, err)
	secret := regexp.MustCompile(`(?i)password|secret|_key$|_keys$|_pwd$|token`)
	for name, service := range project.Services {
		for key, value := range service.Environment {
			if !secret.MatchString(key) || value == nil || *value == "true" || *value == "false" {
				continue
			}
			if name, ok := strings.CutPrefix(*value, "env:"); ok { // a reference to a variable beside it
				value = service.Environment[name]
				require.NotNil(t, value, "service %s: %s refers to %s, which is not set", service.Name, key, name)
			}
			require.Contains(t, *value, "value-of-", "service %s: %s is not taken from a required variable", name, key)
		}
	}
}

func TestComposeServices(t *testing.T) {
	project, err := loadCompose(t, required(t))
	require.NoError(t, err)
	oneShot := []string{"tartan-migrate", "temporal-schema", "temporal-namespace", "storage-bucket"}
	for _, want := range append([]string{
		"tartan-worker", "tartan-mcp", "temporal", "temporal-ui", "temporal-db",
		"db", "auth", "rest", "realtime", "storage", "studio", "meta", "kong",
	}, oneShot...) {
		service, err := project.GetService(want)
		require.NoError(t, err, want)
		if slices.Contains(oneShot, want) {
			require.Equal(t, "no", service.Restart, want)
			continue
		}
		require.NotNil(t, service.HealthCheck, "service %s has no health check", want)
		require.NotEmpty(t, service.HealthCheck.Test, want)
	}
	pinned := regexp.MustCompile(`:[a-z]*[0-9]+\.[0-9]`)
	for name, service := range project.Services {
		if service.Build == nil {
			require.Regexp(t, pinned, service.Image, "service %s: image is not pinned to a version", name)
		}
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "service %s publishes port %s beyond loopback", name, port.Published)
		}
		for dependency := range service.DependsOn {
			_, err := project.GetService(dependency)
			require.NoError(t, err, "service %s depends on %s", name, dependency)
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				require.FileExists(t, volume.Source, "service %s", name)
			}
		}
	}
}

func TestComposeSharesTheDynamicConfig(t *testing.T) {
	project, err := loadCompose(t, required(t))
	require.NoError(t, err)
	temporal, err := project.GetService("temporal")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(temporal.Volumes, func(v types.ServiceVolumeConfig) bool {
		return strings.HasSuffix(v.Source, "deploy/temporal/dynamicconfig.yaml") &&
			v.Target == *temporal.Environment["DYNAMIC_CONFIG_FILE_PATH"]
	}))
}
